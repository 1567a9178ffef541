"""Another transaction that is in the way, and what waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from services.kernel.database import driver_url
from tests.support.sql import fetch

WAITING = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND regexp_like(query, $1, 'i')
"""
ASLEEP = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
IN_TRANSACTION = """
    SELECT pid, query FROM pg_stat_activity
    WHERE datname = current_database() AND pid = ANY($1::integer[]) AND xact_start IS NOT NULL
"""


@asynccontextmanager
async def locked_table(url: str, table: str) -> AsyncIterator[None]:
    """Nobody else can write to the table, or lock it as this does; reading and locking rows go on."""
    connection = await asyncpg.connect(driver_url(url))
    try:
        await connection.execute(f"BEGIN; LOCK TABLE {table} IN SHARE MODE")
        yield
    finally:
        await connection.close()


async def waiting_for_a_lock(url: str, statement: str) -> list[int]:
    """Waits until a statement like the pattern waits for a lock; the server processes that do."""
    async with asyncio.timeout(60):
        while True:
            if found := await fetch(url, WAITING, statement):
                return [row["pid"] for row in found]
            await asyncio.sleep(0.02)


async def asleep(url: str) -> None:
    """Waits until the server is in a `pg_sleep`: a request to cancel it that came before would be lost."""
    async with asyncio.timeout(60):
        while True:
            if await fetch(url, ASLEEP):
                return
            await asyncio.sleep(0.02)


async def ended_transactions(url: str, pids: list[int]) -> None:
    """Waits until none of the server processes is in a transaction."""
    async with asyncio.timeout(20):
        while True:
            if not await fetch(url, IN_TRANSACTION, pids):
                return
            await asyncio.sleep(0.02)
