"""How what was found out about a task changes what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from services.monitor.gaps.held import HeldTask
from services.monitor.gaps.results import StoredEnd
from services.monitor.tasks.names import cut
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import MOST_NAME, UNTOLD_ENDS, TaskState

# Changes a task; returns whether it has changed.
Learn: TypeAlias = Callable[[TaskRecord], bool]
# Returns the fields of an event of the type without secrets: what is found out may hold them as events may.
Redacted: TypeAlias = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


def begun(record: TaskRecord) -> int:
    """Returns when a worker was last heard to receive, start or retry it, in microseconds; 0: never."""
    return max(record.received, record.started, record.retried)


def ends_last_try(end: StoredEnd, record: TaskRecord) -> bool:
    """Whether a stored end is that of the last try of a task that nobody has any more.

    Its time may be before the start: the clock of the worker's machine may have been set back meanwhile. But
    an end that was heard before the start is that of an earlier try.
    """
    heard = max(record.succeeded, record.failed, record.revoked, record.rejected)
    return end.at >= begun(record) or end.at > heard


def of_end(end: StoredEnd, redacted: Redacted) -> Learn:
    return partial(_learn_end, end, redacted(end.kind, end.event))


def of_held(held: HeldTask, since: int, redacted: Redacted) -> Learn:
    """`since`: the begin of the gap by the worker's clock, in microseconds."""
    return partial(_learn_held, held, since, redacted("task-received", held.event))


def vanish(record: TaskRecord, how: TaskState = TaskState.ENDED) -> bool:
    return record.vanish(begun(record) or record.sent or record.heard, how)


def vanished(how: TaskState) -> Learn:
    """`how`: ENDED, ORPHANED or LOST."""
    return partial(vanish, how=how)


def new_record(task_id: str, end: StoredEnd) -> TaskRecord:
    """Returns a task of which nothing was ever heard, with what the backend stores of it besides its end."""
    record, details = TaskRecord(task_id), end.details
    record.task = str(details["name"])[:MOST_NAME] if details.get("name") else None
    record.queue = cut(str(details["queue"])) if details.get("queue") else None
    record.worker = cut(str(details["hostname"])) if details.get("hostname") else None
    return record


def _learn_end(end: StoredEnd, event: Mapping[str, Any], record: TaskRecord) -> bool:
    # A worker's word of the start may be a moment younger than the end of a short task.
    return record.hear(end.kind, max(end.at, begun(record)), event)


def _learn_held(held: HeldTask, since: int, event: Mapping[str, Any], record: TaskRecord) -> bool:
    started = 0 if held.started is None else int(held.started * 1e6)
    newest, changed = begun(record), False
    is_elsewhere = record.worker != held.worker.hostname
    waits_again = record.retried >= max(record.received, record.started, 1)
    if not record.received or is_elsewhere or waits_again:
        # When it was received is not known. Its end must not seem to be older.
        at = max(since, newest + 1)
        changed = record.hear("task-received", min(at, started) if started > newest else at, event)
        record.queue = record.queue or _queue_in(held)
    if record.state in UNTOLD_ENDS:
        # It was found nowhere while its worker could not say that it had it.
        kind, known = ("task-started", started) if started else ("task-received", 0)
        changed = record.hear(kind, max(known, record.vanished + 1), event) or changed
    elif started > record.started:
        changed = record.hear("task-started", started, event) or changed
    return changed


def _queue_in(held: HeldTask) -> str | None:
    queue = held.event.get("queue")
    return cut(queue) if isinstance(queue, str) and queue else None
