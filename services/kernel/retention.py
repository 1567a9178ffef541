"""Deletes what is older than a live setting says: a batch at a time, in small transactions."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import structlog

from services.kernel.config_keys import Key
from services.kernel.database import DATABASE_ERRORS, Connection, Database
from services.kernel.live_settings import LiveSettings
from services.kernel.logged_errors import for_log
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

BATCH = 2000
# Others want the database too.
PAUSE_SECONDS = 0.2

# Deletes at most so many that are older than the age; gives how many.
Delete = Callable[[Connection, dt.timedelta, int], Awaitable[int]]


class Retention:
    """Keeps one table within its age. Several replicas may do so at once.

    Nothing is deleted before the setting is known: the default may be much shorter than what was set.
    """

    def __init__(
        self,
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
        self._pace = pace

    async def run(self) -> None:
        """A background loop: now and then, and as soon as the setting changes."""
        await self._live.first_contact()
        while True:
            try:
                await self.sweep()
            except DATABASE_ERRORS as error:
                log.warning("retention.failed", setting=self._key.name, error=for_log(error))
            await self._live.changed(self._pace.retention_sweep)

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
