"""Deletes what is older than a live setting says: a batch at a time, in small transactions."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import structlog

from services.kernel.config_keys import Key
from services.kernel.database import DATABASE_ERRORS, Connection, Database
from services.kernel.live_settings import LiveSettings
from services.kernel.loops import Loop
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

BATCH = 2000
# Others want the database too.
PAUSE_SECONDS = 0.2

# Deletes at most so many that are older than the age; gives how many.
Delete = Callable[[Connection, dt.timedelta, int], Awaitable[int]]


class Retention:
    """Keeps one table within its age: now and then, and as soon as the setting changes.

    Several replicas may do so at once. `name` is the loop's, in Prometheus and in the log.

    Nothing is deleted before the setting is known: the default may be much shorter than what was set.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        live: LiveSettings,
        key: Key[dt.timedelta],
        delete: Delete,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._live = live
        self._key = key
        self._delete = delete
        self._changed = asyncio.Event()
        live.on_change(self._changed.set)
        self.loop = Loop(
            name,
            self._sweep_once_known,
            every=pace.retention_sweep,
            outlives=DATABASE_ERRORS,
            failed="retention.failed",
            woken=self._changed,
        )

    async def _sweep_once_known(self) -> None:
        await self._live.first_contact()
        # The first contact counts as a change, which this sweep is for.
        self._changed.clear()
        await self.sweep()

    async def sweep(self) -> int:
        """Deletes all that is too old; how many that were."""
        deleted = 0
        while True:
            age = self._live.get(self._key)
            async with self._database.transaction() as connection:
                batch = await self._delete(connection, age, BATCH)
            deleted += batch
            if batch < BATCH:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        if deleted:
            log.info("retention.deleted", setting=self._key.name, age=str(age), count=deleted)
        return deleted
