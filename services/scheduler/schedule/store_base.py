"""What all stores are: SQL on one connection, in whatever transaction that has."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection, Database


class Store:
    """A store on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def now(self) -> dt.datetime:
        """The database's clock: the one that counts."""
        moment: dt.datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return moment


async def now_at(database: Database) -> dt.datetime:
    """For who has nothing else to ask of the database yet; in a transaction, its store tells the time."""
    async with database.reading() as connection:
        return await Store(connection).now()
