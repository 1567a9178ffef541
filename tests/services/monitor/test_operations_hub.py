"""All readers of WatchOperations, in the test's own process: signs of life, outages, old cursors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from services.kernel.database import Database
from services.kernel.endings import end
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.operations import Operation
from services.kernel.sessions import opened_sessions
from services.monitor.operations.store_operations import OperationFilter
from services.monitor.operations.watching import MOST_MISSED, Cursor, Watching, decode_cursor
from services.monitor.pace import Pace
from tests.support.operations import insert, url_of
from tests.support.outages import closed, end_connections
from tests.support.sql import fetch

Told = tuple[Operation | None, Cursor, int]
EVERY = OperationFilter()
MANY = """
    INSERT INTO celery_operations (owner, kind, state, ended_at)
    SELECT 'embedder', 'many', 'done', now() FROM generate_series(1, $1::int)
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The database as the monitor's role."""
    database = Database(await asyncio.to_thread(url_of, "monitor", database_url))
    yield database
    await database.close()


@asynccontextmanager
async def running(database: Database, pace: Pace) -> AsyncIterator[Watching[Told]]:
    async with opened_sessions(database) as sessions:
        watching = Watching[Told](database, sessions, lambda *told: told, pace)
        loop = asyncio.create_task(watching.loop.run())
        try:
            yield watching
        finally:
            await end([loop])


async def read(stream: Any) -> Told:
    async with asyncio.timeout(20):
        told: Told = await anext(stream)
        return told


async def test_a_reader_without_news_gets_signs_of_life_with_a_cursor_that_moves_on(
    database: Database, database_url: str
) -> None:
    none = OperationFilter(kinds=frozenset({"none"}))
    async with (
        running(database, Pace(watch_life=0.05, operations_follow=0.05)) as watching,
        aclosing(watching.watch(none, None)) as stream,
    ):
        _, first, _ = await read(stream)
        await asyncio.to_thread(insert, database_url)
        cursor = first
        while cursor.seen.xmax == first.seen.xmax:
            operation, cursor, left_out = await read(stream)
            assert (operation, left_out) == (None, 0)
        assert decode_cursor(cursor.encode()) == cursor


async def test_readers_are_told_of_an_outage_and_go_on_from_their_cursor(
    database: Database, database_url: str
) -> None:
    async with running(database, Pace(operations_retry=0.05, operations_follow=0.05)) as watching:
        stream = watching.watch(EVERY, None)
        _, cursor, _ = await read(stream)
        async with closed(database_url):
            with pytest.raises(Unavailable):
                await read(stream)
        name = await asyncio.to_thread(insert, database_url)
        async with aclosing(watching.watch(EVERY, cursor)) as again:
            assert (await read(again))[:2] == (None, cursor)
            operation, after, _ = await read(again)
            assert operation is not None and f"operations/{operation.id}" == name
            assert after.seen.xmax > cursor.seen.xmax


async def test_connections_that_the_database_ends_are_replaced_and_no_reader_notices(
    database: Database, database_url: str
) -> None:
    async with running(database, Pace()) as watching, aclosing(watching.watch(EVERY, None)) as stream:
        await read(stream)
        await end_connections(database_url)
        name = await asyncio.to_thread(insert, database_url)
        operation, _, _ = await read(stream)
        assert operation is not None and f"operations/{operation.id}" == name


async def test_a_cursor_with_too_much_after_it_is_expired(database: Database, database_url: str) -> None:
    async with running(database, Pace()) as watching:
        async with aclosing(watching.watch(EVERY, None)) as stream:
            _, cursor, _ = await read(stream)
        await fetch(database_url, MANY, MOST_MISSED)
        async with aclosing(watching.watch(EVERY, cursor)) as stream:
            for _ in range(MOST_MISSED + 1):
                operation, after, _ = await read(stream)
            assert operation is not None and after.seen.xmax > cursor.seen.xmax, (
                "the last moves the cursor on"
            )
        await fetch(database_url, MANY, 1)
        with pytest.raises(FailedPrecondition) as refused:
            await read(watching.watch(EVERY, cursor))
        assert refused.value.reason == "CURSOR_EXPIRED"
