"""A statement on a connection of its own, as somebody with psql would run it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from services.kernel.database import driver_url


async def fetch(url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    """The rows that the statement gives, if it is one that gives any."""
    connection = await asyncpg.connect(driver_url(url))
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
        return rows
    finally:
        await connection.close()


def fetch_sync(url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    """`fetch`, for tests without an event loop."""
    return asyncio.run(fetch(url, statement, *values))
