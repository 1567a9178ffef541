"""The clock that all replicas share: the database's."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Database
from services.scheduler.schedule.store_base import Store


async def now_at(database: Database) -> dt.datetime:
    """For who has nothing else to ask of the database yet; in a transaction, its store tells the time."""
    async with database.reading() as connection:
        return await Store(connection).now()
