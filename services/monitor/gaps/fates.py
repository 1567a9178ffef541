"""What is thought of a task of which no end is told, when it was found nowhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord, moment
from services.monitor.tasks.tasks import TaskState

# In these, its message was on the broker when it was last heard of.
ON_THE_BROKER = frozenset({TaskState.PENDING, TaskState.RECEIVED, TaskState.RETRY})
WITH_A_WORKER = frozenset({TaskState.RECEIVED, TaskState.STARTED})


def fate_of(
    task: TaskRecord, is_gone: Callable[[WorkerName], bool], lost: Callable[[dt.datetime], bool]
) -> TaskState:
    """Returns LOST, ORPHANED or ENDED.

    `is_gone`: whether a worker is known to be. `lost`: whether the broker may have lost what
    was published then.
    """
    heard = moment(task.updated)
    if task.state in ON_THE_BROKER and heard is not None and lost(heard):
        return TaskState.LOST
    if task.state in WITH_A_WORKER and task.worker and is_gone(worker_of(task)):
        return TaskState.ORPHANED
    return TaskState.ENDED


def worker_of(task: TaskRecord) -> WorkerName:
    return WorkerName(task.worker or "", task.worker_pid)
