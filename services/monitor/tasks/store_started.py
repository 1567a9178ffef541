"""The SQL of tasks that are being run by a worker that is known, as far as events tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from services.kernel.database import Connection
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_tasks import TIMES
from services.monitor.tasks.tasks import TaskState

_VALUES = (
    *("task", "queue", "worker", "worker_pid", "retries", "run", "request_id", "parent_id", "root_id"),
    "custom_state",
)
_UNTIL = ("eta", "expires")
_MARKS = ("heard", "updated", "worker")
COLUMNS = ", ".join(("id", "vanished_as", *_VALUES, *_UNTIL, *(f"{name}_at" for name in (*TIMES, *_MARKS))))
STARTED = f"""
    SELECT {COLUMNS} FROM celery_task_results_ext
    WHERE state = 'STARTED' AND started_at IS NOT NULL AND worker_pid IS NOT NULL
    ORDER BY heard_at DESC, id DESC LIMIT $1
"""


async def started_tasks(connection: Connection, most: int) -> Sequence[TaskRecord]:
    """Returns the newest tasks that are shown as started, without their texts: the database keeps those."""
    return [record_of(row) for row in await connection.fetch(STARTED, most)]


def record_of(row: Any) -> TaskRecord:
    record = TaskRecord(row["id"])
    for name in _VALUES:
        setattr(record, name, row[name])
    for name in _UNTIL:
        setattr(record, name, None if row[name] is None else row[name].isoformat())
    for name in TIMES:
        setattr(record, name, _microseconds(row[f"{name}_at"]))
    record.heard, record.updated = _microseconds(row["heard_at"]), _microseconds(row["updated_at"])
    record.worker_at = _microseconds(row["worker_at"])
    record.vanished_as = TaskState(row["vanished_as"] or TaskState.ENDED)
    record.queue_retries = -1 if row["sent_at"] is None else record.retries or 0
    record.settle()
    return record


def _microseconds(moment: dt.datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1e6)
