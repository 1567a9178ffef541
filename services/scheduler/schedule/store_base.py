"""The base of all stores: SQL on one connection, within the transaction that its owner has begun."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection, Database


class Store:
    """A store on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def now(self) -> dt.datetime:
        """Returns the time of the database's clock, which all replicas go by."""
        moment: dt.datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return moment


async def now_at(database: Database) -> dt.datetime:
    """Returns the database's time, in a transaction of its own. Within a transaction, use `Store.now`."""
    async with database.reading() as connection:
        return await Store(connection).now()
