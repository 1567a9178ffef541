"""Deletes rows that are older than a live setting allows, in batches, each in a transaction of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import structlog

from services.kernel.database import Connection, Database
from services.kernel.live_keys import Key
from services.kernel.live_settings import LiveSettings
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

BATCH = 2000
# The pause between batches, so that other work can use the database.
PAUSE_SECONDS = 0.2

# Deletes at most so many rows (third argument) that are older than the age. Returns how many it deleted.
Delete = Callable[[Connection, dt.timedelta, int], Awaitable[int]]


class Retention:
    """Deletes the old rows of one table, at intervals and as soon as the setting changes.

    Several replicas may do so at the same time. `name` is the loop's name in Prometheus and in the log.

    Nothing is deleted before the setting is known: the default may be much shorter than the value in force.
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
        # The first contact has set the event as well. This sweep serves it, so no second one is needed.
        self._changed.clear()
        await self.sweep()

    async def sweep(self) -> int:
        """Deletes all rows that are too old. Returns how many it deleted."""
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
