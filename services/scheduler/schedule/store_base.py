"""The base of all stores: SQL on one connection, within the transaction that its owner has begun."""

from __future__ import annotations

import datetime as dt

import asyncpg

from services.kernel.database import Connection, Database
from services.kernel.once import Once

# The table of the scheduler's leases (services.kernel.leases).
LEASES = "celery_schedule_leases"


class Store:
    """A store on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def now(self) -> dt.datetime:
        """Returns the time of the database's clock, which all replicas go by."""
        moment: dt.datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return moment

    async def sign(self, actor: str) -> None:
        """Names who makes the changes of this transaction, for the history of schedules (migration 0024)."""
        await self._connection.execute("SELECT set_config('celeriac.actor', $1, true)", actor)

    async def _made_by(self, statement: str, schedule_id: str, once: Once | None) -> asyncpg.Record | None:
        """Returns the row that the request made earlier; None without one, or without a request id.

        `statement` finds it by schedule and request id, and gives its `request_digest`, too. Raises
        `Invalid` if another request had the same id.
        """
        if once is None:
            return None
        row = await self._connection.fetchrow(statement, schedule_id, once.request_id)
        if row is not None:
            once.check(row["request_digest"])
        return row


async def now_at(database: Database) -> dt.datetime:
    """Returns the database's time, in a transaction of its own. Within a transaction, use `Store.now`."""
    async with database.reading() as connection:
        return await Store(connection).now()
