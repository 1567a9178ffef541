"""The SQL of tasks that are shown as with a worker that is not there."""

from __future__ import annotations

from collections.abc import Collection

from services.kernel.database import Connection
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_started import COLUMNS, record_of

OF_OTHERS = f"""
    SELECT {COLUMNS} FROM celery_task_results_ext AS task
    WHERE state IN ('RECEIVED', 'STARTED') AND worker <> '' AND NOT EXISTS (
        SELECT FROM unnest($1::text[], $2::bigint[]) AS there (hostname, pid)
        WHERE there.hostname = task.worker AND (task.worker_pid IS NULL OR task.worker_pid = there.pid))
    ORDER BY heard_at DESC, id DESC LIMIT $3
"""


async def tasks_of_others(
    connection: Connection, there: Collection[WorkerName], most: int
) -> list[TaskRecord]:
    """Returns the newest tasks that a worker has, as far as is known, and none of those that are there."""
    hostnames, pids = [worker.hostname for worker in there], [worker.pid for worker in there]
    return [record_of(row) for row in await connection.fetch(OF_OTHERS, hostnames, pids, most)]
