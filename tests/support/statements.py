"""Which statements are sent over the connections of a process: what an idle one costs, without a clock."""

from __future__ import annotations

from services.kernel.database import Database


async def statements_of(database: Database) -> list[str]:
    """Returns a list to which each statement is added from now on; the pool must have the size 1."""
    assert database.pool_size == 1, "others would go unseen"
    seen: list[str] = []
    async with database.connection() as connection:
        connection.add_query_logger(lambda record: seen.append(record.query))
    return seen
