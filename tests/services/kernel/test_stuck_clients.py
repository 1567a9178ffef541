"""A process that freezes in the middle of a statement gives up its locks when others wait for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from services.kernel import stuck_clients as module
from services.kernel.database import Connection, Database
from services.kernel.stuck_clients import StuckClients
from tests.support.sql import fetch

LOCK = 7
# It takes the lock, and freezes while its rows are on their way, its answer is, or between two messages.
HOLDER = """
import asyncio, os, signal, sys
import asyncpg

def freeze():
    os.kill(os.getpid(), signal.SIGSTOP)

def rows():
    for number in range(100_000):
        if number == 50_000:
            freeze()
        yield number, "x" * 300

async def main(url, name, kind):
    connection = await asyncpg.connect(url, server_settings={"application_name": name})
    await connection.execute("BEGIN; SELECT pg_advisory_xact_lock(7)")
    if kind == "copy":
        await connection.copy_records_to_table("rows", records=rows())
    elif kind == "answer":
        asyncio.get_running_loop().call_later(0.1, freeze)
        await connection.fetch("SELECT repeat('x', 1000) FROM generate_series(1, 100000), pg_sleep(0.5)")
    else:
        await connection.executemany("INSERT INTO rows VALUES ($1, $2)", rows())

asyncio.run(main(*sys.argv[1:]))
"""
FROZEN = """
    SELECT FROM pg_stat_activity
    WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
        AND wait_event_type = 'Client' AND state = 'active'
        AND state_change < clock_timestamp() - interval '1 s'
"""


@pytest.fixture
async def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.2)
    database = Database(database_url, application_name="celeriac-test")
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS rows (number integer, words text)")
    yield database
    await database.close()


@contextmanager
def holder(url: str, kind: str, name: str = "celeriac-test") -> Iterator[None]:
    command = [sys.executable, "-c", HOLDER, url, name, kind]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def frozen(url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if await fetch(url, FROZEN):
                return
            await asyncio.sleep(0.05)


async def take(connection: Connection) -> None:
    await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")


@pytest.mark.parametrize("kind", ["copy", "answer", "messages"])
async def test_the_lock_of_a_frozen_process_comes_free_for_who_waits(database: Database, kind: str) -> None:
    with holder(database.url, kind):
        await frozen(database.url)
        stuck = StuckClients(database)
        async with asyncio.timeout(20), database.transaction() as connection:
            waiting = asyncio.create_task(take(connection))
            ended = 0
            while not waiting.done():
                ended += await stuck.look()
                await asyncio.sleep(0.05)
            await waiting
    assert ended == 1


async def test_who_holds_up_nobody_or_is_not_ours_is_left_in_peace(database: Database) -> None:
    with holder(database.url, "answer"):
        await frozen(database.url)
        stuck = StuckClients(database)
        for _ in range(5):
            assert await stuck.look() == 0
            await asyncio.sleep(0.1)
        assert await fetch(database.url, FROZEN)
    with holder(database.url, "answer", name="psql"):
        await frozen(database.url)
        stuck = StuckClients(database)
        async with database.connection() as connection:
            await connection.execute("SET lock_timeout = '1s'")
            waiting = asyncio.create_task(take(connection))
            while not waiting.done():
                assert await stuck.look() == 0
                await asyncio.sleep(0.1)
            await asyncio.gather(waiting, return_exceptions=True)
            await connection.execute("RESET lock_timeout")
        assert await fetch(database.url, FROZEN)
