"""A statement on a connection of its own, as somebody with psql would run it, and how it is run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
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


async def plan_of(url: str, statement: str, *values: Any, settings: str = "SELECT 1") -> dict[str, Any]:
    """Runs the statement, in vain, after the settings; how PostgreSQL did it, with rows and pages (8 KiB)."""
    connection = await asyncpg.connect(driver_url(url))
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(settings)
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        plan: dict[str, Any] = json.loads(await connection.fetchval(explain, *values))[0]["Plan"]
        return plan
    finally:
        await transaction.rollback()
        await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The plan and all that is below it."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
