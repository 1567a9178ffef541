"""The SQL of tasks that are shown as with a worker that is not there, and of orphans whose worker is back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from services.kernel.database import Connection
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord, moment
from services.monitor.tasks.store_started import COLUMNS, record_of

THERE = """
    EXISTS (SELECT FROM unnest($1::text[], $2::bigint[]) AS there (hostname, pid)
        WHERE there.hostname = task.worker AND (task.worker_pid IS NULL OR task.worker_pid = there.pid))
"""
OF_OTHERS = f"state IN ('RECEIVED', 'STARTED') AND worker <> '' AND NOT {THERE}"
PAGE = f"""
    SELECT {COLUMNS} FROM celery_task_results_ext AS task
    WHERE {OF_OTHERS} AND (heard_at, id) < ($3::timestamptz, $4)
    ORDER BY heard_at DESC, id DESC LIMIT $5
"""
QUEUES = f"SELECT DISTINCT queue FROM celery_task_results_ext AS task WHERE {OF_OTHERS} AND queue <> ''"
ORPHANS = f"""
    SELECT {COLUMNS} FROM celery_task_results_ext AS task
    WHERE state = 'ORPHANED' AND {THERE} ORDER BY heard_at DESC, id DESC LIMIT $3
"""


async def tasks_of_others(
    connection: Connection, there: Collection[WorkerName], after: TaskRecord | None, most: int
) -> list[TaskRecord]:
    """Returns the newest tasks that a worker has, as far as is known, and none of those that are there.

    `after`: the last task of the page before.
    """
    at, last = (dt.datetime.max, "") if after is None else (moment(after.heard), after.id)  # noqa: DTZ901
    rows = await connection.fetch(PAGE, *_columns(there), at, last, most)
    return [record_of(row) for row in rows]


async def queues_of_others(connection: Connection, there: Collection[WorkerName]) -> list[str]:
    """Returns the queues of all these tasks."""
    return [row["queue"] for row in await connection.fetch(QUEUES, *_columns(there))]


async def orphans_of(connection: Connection, there: Collection[WorkerName], most: int) -> list[TaskRecord]:
    """Returns the newest ORPHANED tasks of the workers that are there."""
    return [record_of(row) for row in await connection.fetch(ORPHANS, *_columns(there), most)]


def _columns(workers: Collection[WorkerName]) -> tuple[list[str], list[int | None]]:
    return [worker.hostname for worker in workers], [worker.pid for worker in workers]
