"""What all stores are: SQL on one connection, in whatever transaction that has."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection


class Store:
    """A store on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def now(self) -> dt.datetime:
        """The database's clock: the one that counts."""
        moment: dt.datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return moment
