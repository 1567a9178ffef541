"""Converts the attempts of a task to the messages of the contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from celeriac.monitor.v1 import tasks_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import timestamp
from services.monitor.tasks.attempts import Attempt, AttemptEnd
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.tasks import WITH_EXCEPTION, Task, TaskState

ENDS = wire_values(pb.AttemptEnd, AttemptEnd)
END_OF_STATE = {
    TaskState.SUCCESS: AttemptEnd.SUCCEEDED,
    TaskState.FAILURE: AttemptEnd.FAILED,
    TaskState.RETRY: AttemptEnd.RETRIED,
    TaskState.REVOKED: AttemptEnd.REVOKED,
    TaskState.REJECTED: AttemptEnd.REJECTED,
    TaskState.ENDED: AttemptEnd.LEFT,
    TaskState.ORPHANED: AttemptEnd.LEFT,
    TaskState.LOST: AttemptEnd.LEFT,
}


def attempts_to(task: Task) -> Iterator[pb.TaskAttempt]:
    """Yields those before the newest one, and that one, if a worker has had it."""
    newest = None
    for each in task.attempts:
        if each.received_at == task.received_at:
            newest = each
        else:
            yield _attempt_to(each)
    if newest is not None and task.state is TaskState.RETRY:
        yield _attempt_to(newest)
    elif task.received_at or task.started_at:
        yield _newest_to(task)


def _attempt_to(attempt: Attempt) -> pb.TaskAttempt:
    return pb.TaskAttempt(
        retries=attempt.retries,
        queue=f"queues/{attempt.queue}" if attempt.queue else "",
        worker=f"workers/{attempt.worker}" if attempt.worker else "",
        received_time=timestamp(attempt.received_at),
        started_time=timestamp(attempt.started_at),
        end_time=timestamp(attempt.ended_at),
        end=ENDS[attempt.end],
        exception_type=attempt.exception_type,
        exception_message=attempt.exception_message,
    )


def _newest_to(task: Task) -> pb.TaskAttempt:
    failed, end = task.state in WITH_EXCEPTION, END_OF_STATE.get(task.state)
    return pb.TaskAttempt(
        retries=task.retries,
        queue=f"queues/{task.queue}" if task.queue else "",
        worker=f"workers/{WorkerName(task.worker, task.worker_pid)}" if task.worker else "",
        received_time=timestamp(task.received_at),
        started_time=timestamp(_own_start(task)),
        end_time=timestamp(task.ended_at),
        end=ENDS[end] if end else None,
        exception_type=task.exception_type if failed else "",
        exception_message=task.exception_message if failed else "",
    )


def _own_start(task: Task) -> dt.datetime | None:
    """Returns when the newest attempt was started: a start before it was received was that of another."""
    if task.started_at is None or task.received_at is None or task.started_at >= task.received_at:
        return task.started_at
    return None
