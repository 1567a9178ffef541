"""The SQL of workers that were deleted: kept for an hour, by which time each monitor has read them."""

from __future__ import annotations

from collections.abc import Mapping

from services.kernel.database import Connection
from services.monitor.tasks.names import WorkerName

KEPT = "interval '1 hour'"
DELETED = f"""
    SELECT hostname, pid, extract(epoch FROM clock_timestamp() - deleted_at)::float8 AS age
    FROM celery_deleted_workers WHERE deleted_at > clock_timestamp() - {KEPT}
"""
ADD = """
    INSERT INTO celery_deleted_workers (hostname, pid) VALUES ($1, $2)
    ON CONFLICT (hostname, pid) DO UPDATE SET deleted_at = clock_timestamp()
"""
FORGET = f"DELETE FROM celery_deleted_workers WHERE deleted_at <= clock_timestamp() - {KEPT}"


class DeletionStore:
    """Reads and writes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, worker: WorkerName) -> None:
        await self._connection.execute(FORGET)
        await self._connection.execute(ADD, worker.hostname, worker.pid)

    async def all(self) -> Mapping[WorkerName, float]:
        """Returns the workers that were deleted, and how many seconds ago."""
        rows = await self._connection.fetch(DELETED)
        return {WorkerName(row["hostname"], row["pid"]): row["age"] for row in rows}
