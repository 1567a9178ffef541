"""Tasks are kept for some days, then forgotten, a little at a time."""

from __future__ import annotations

import asyncio
import datetime as dt

import structlog

from services.kernel.database import Database
from services.monitor.store_tasks import TaskStore
from services.monitor.task_writer import FAULTS

log = structlog.get_logger(__name__)

LOOK_SECONDS = 60.0
PAUSE_SECONDS = 0.2
BATCH = 5_000


class Retention:
    """Deletes for as long as it runs. Replicas may all do it: each takes rows that no other has."""

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._kept = dt.timedelta(days=days)

    async def run(self) -> None:
        while True:
            more = False
            try:
                more = await self.forget(dt.datetime.now(dt.UTC)) == BATCH
            except FAULTS as error:
                log.warning("tasks.not_forgotten", error=str(error)[:300])
            # Others want the database too.
            await asyncio.sleep(PAUSE_SECONDS if more else LOOK_SECONDS)

    async def forget(self, now: dt.datetime) -> int:
        """Deletes a batch of those first heard of too long ago that say no more; how many that were."""
        async with self._database.transaction() as session:
            return await TaskStore(session).delete_before(now - self._kept, BATCH)
