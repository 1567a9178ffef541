"""Takes attempts of a task out of what is known of it, when another attempt follows (attempts.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.monitor.tasks.attempts import AttemptEnd, Kept, is_open, keep, open_of, with_exception

if TYPE_CHECKING:
    from services.monitor.tasks.record import TaskRecord


def leave_attempt(record: TaskRecord) -> None:
    """Keeps the newest attempt, as another one is received."""
    if record.tried == record.received:
        return  # kept already, with the exception for which it is tried again
    ended = max(record.succeeded, record.failed, record.revoked, record.rejected)
    if ended < record.received:
        _keep(record, 0, with_exception(AttemptEnd.LEFT, None, None))
    elif ended == record.failed:
        told = with_exception(AttemptEnd.FAILED, record.exception_type, record.exception_message)
        _keep(record, ended, told)
    else:
        ends = {
            record.rejected: AttemptEnd.REJECTED,
            record.revoked: AttemptEnd.REVOKED,
            record.succeeded: AttemptEnd.SUCCEEDED,
        }
        _keep(record, ended, with_exception(ends[ended], None, None))


def keep_retried(record: TaskRecord, at: int) -> None:
    """Takes in that an attempt failed, and another follows, which may have been received already."""
    told = with_exception(AttemptEnd.RETRIED, record.exception_type, record.exception_message)
    left = open_of(record.attempts, record.worker, record.worker_pid, record.retries or 0)
    if left and record.attempts:
        record.attempts[left] |= {"ended": at, **told}
    elif record.received:
        _keep(record, at, told)
        record.tried = record.received


def forget_attempts(record: TaskRecord) -> None:
    """Drops the attempts before the newest one, to free memory, but for those whose end may still come."""
    attempts = record.attempts or {}
    record.attempts = {at: each for at, each in attempts.items() if is_open(each)} or None
    if record.tried != record.received:
        record.tried, record.tried_queue = 0, None


def _keep(record: TaskRecord, ended: int, told: Kept) -> None:
    later = record.queue_retries > (record.retries or 0)
    attempt = {
        "retries": record.retries or 0,
        "queue": record.tried_queue if later else record.queue,
        "worker": record.worker,
        "pid": record.worker_pid,
        "started": record.started if record.started >= record.received else 0,
        "ended": ended,
        **told,
    }
    record.attempts = keep(record.attempts, record.received, attempt)
