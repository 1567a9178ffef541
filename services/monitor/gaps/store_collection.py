"""The SQL of collection: whether events of tasks are taken in, and who stopped that."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.kernel.database import Connection

GET = "SELECT stopped_at, stopped_by, starting FROM celery_event_collection"
# One that is stopped already stays stopped by whom it was; one that was being started is not started.
STOP = """
    UPDATE celery_event_collection
    SET stopped_at = coalesce(stopped_at, clock_timestamp()), starting = false,
        stopped_by = CASE WHEN stopped_at IS NULL OR starting THEN $1 ELSE stopped_by END
"""
START = "UPDATE celery_event_collection SET starting = true WHERE stopped_at IS NOT NULL"
# Only one of several monitors that see it gets the row.
STARTED = """
    UPDATE celery_event_collection AS row
    SET stopped_at = NULL, stopped_by = '', starting = false
    FROM (SELECT stopped_at FROM celery_event_collection FOR UPDATE) AS before
    WHERE row.starting
    RETURNING before.stopped_at, clock_timestamp() AS started_at
"""


@dataclass(frozen=True)
class Collection:
    """`stopped_at` is None while it runs. `starting`: somebody has asked for its start, and the gap is not
    recorded yet."""

    stopped_at: dt.datetime | None = None
    stopped_by: str = ""
    starting: bool = False

    @property
    def runs(self) -> bool:
        return self.stopped_at is None or self.starting


class CollectionStore:
    """Reads and writes the one row, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self) -> Collection:
        return Collection(**await self._connection.fetchrow(GET))

    async def stop(self, actor: str) -> None:
        await self._connection.execute(STOP, actor)

    async def start(self) -> None:
        await self._connection.execute(START)

    async def started(self) -> tuple[dt.datetime, dt.datetime] | None:
        """Ends the stop, if its end was asked for. Returns from when until when it was stopped."""
        row = await self._connection.fetchrow(STARTED)
        return None if row is None else (row["stopped_at"], row["started_at"])
