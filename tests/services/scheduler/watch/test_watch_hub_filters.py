"""Everyone who watches by a filter, on the real log: what each is handed, and what is left out for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest

from services.kernel.database import Database, driver_url
from services.scheduler.catalogue.store_listing import ScheduleFilter
from services.scheduler.pace import Pace
from services.scheduler.watch.changes import Event, Kind, LeftOut, RunEvents, ScheduleEvent, Wanted
from services.scheduler.watch.cursor import Cursor
from services.scheduler.watch.hub import Watching
from tests.support.watch_hubs import Told, create, publish, read, read_until, running, sizes

# Of each batch, a tenth; or all of it.
TENTH = Wanted(matching=ScheduleFilter(labels=(("only", "tenth"),)))
ALSO_TENTH = Wanted(matching=ScheduleFilter(labels=(("only", "tenth"),), paused=False))
ALL = Wanted(matching=ScheduleFilter(task_names=("count",)))
LABELLED = "UPDATE celery_schedules SET labels = jsonb_build_object('only', $1::text) WHERE id = ANY ($2)"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def connection(database_url: str, database: Database) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(driver_url(database_url))
    await create(database, "one", "tenth", "mark")
    await connection.execute(LABELLED, "tenth", ["tenth", "mark"])
    yield connection
    await connection.execute("DELETE FROM celery_schedules; DELETE FROM celery_schedule_runs")
    await connection.close()


async def mark(connection: Any) -> None:
    """A change that all of them are told."""
    await connection.execute("UPDATE celery_schedules SET version = version + 1 WHERE id = 'mark'")


async def test_of_too_much_at_once_a_narrow_filter_gets_all_and_a_broad_one_is_told_how_much_it_lacks(
    database: Database, connection: Any
) -> None:
    async with running(database, buffer=100_000) as watching:
        narrow, broad = watching.watch(TENTH, None), watching.watch(ALL, None)
        for stream in (narrow, broad):
            await read(stream)
        async with connection.transaction():
            for _ in range(25):
                await publish(connection, 1000)
        told = [event for event, _ in [await read(broad) for _ in range(20)] if event is not None]
        assert sizes(told) == [1000] * 20
        counted = 0
        while counted < 5000:
            event, _ = await read(broad)
            assert isinstance(event, LeftOut)
            counted += event.count
        assert counted == 5000
        await mark(connection)
        assert await read_until(broad, "mark") == []
        assert sizes(await read_until(narrow, "mark")) == [100] * 25
        for stream in (narrow, broad):
            await stream.aclose()


async def test_what_is_left_out_is_counted_by_the_filter(database: Database, connection: Any) -> None:
    async with running(database) as watching:
        # By another filter, or what is looked up for the one would be there for the other.
        slow, quick = watching.watch(TENTH, None), watching.watch(ALSO_TENTH, None)
        _, start = await read(slow)
        await read(quick)
        for _ in range(8):
            await publish(connection, 100)
            assert sizes([event for event, _ in [await read(quick)] if event is not None]) == [10]
        # Of runs that are known by their keys, of schedules that match and of others, too.
        await connection.execute("UPDATE celery_schedule_runs SET outcome = 'SUCCESS'")
        assert sum(sizes([event for event, _ in [await read(quick)] if event is not None])) > 0
        await connection.execute(LABELLED, "other", ["one", "tenth"])
        await mark(connection)
        rest = await read_until(quick, "mark")
        left = [event for event in rest if isinstance(event, ScheduleEvent)]
        assert left == [ScheduleEvent(Kind.LEFT_FILTER, "tenth", None)]
        assert [event for event, _ in [await read(slow) for _ in range(5)] if isinstance(event, RunEvents)]
        # The other 30, all 80 with their ends, and what became of "tenth" and "mark".
        counted = 0
        while counted < 30 + 80 + 2:
            told, _ = await read(slow)
            assert isinstance(told, LeftOut)
            counted += told.count
        assert counted == 30 + 80 + 2
        again = watching.watch(TENTH, start)
        assert left == [each for each in await read_until(again, "mark") if isinstance(each, ScheduleEvent)]
        for stream in (slow, quick, again):
            await stream.aclose()


async def test_no_cursor_is_ahead_of_what_its_reader_was_handed(database: Database, connection: Any) -> None:
    """Also while another group of readers is handed the same part of the log, which takes its time."""
    signs_of_life = Pace(watch_life=0.001)

    def slowly(event: Event | LeftOut | None, cursor: Cursor) -> Told:
        time.sleep(0.005 if isinstance(event, RunEvents) else 0)
        return event, cursor

    begun = asyncio.Barrier(4)

    async def read_all(watching: Watching[Told], wanted: Wanted) -> list[Told]:
        async with aclosing(watching.watch(wanted, None)) as stream:
            told = [await read(stream)]
            await begun.wait()
            while not isinstance(told[-1][0], ScheduleEvent):
                told.append(await read(stream))
        return told

    async with running(database, buffer=1000, tell=slowly, pace=signs_of_life) as watching:
        readers = [asyncio.create_task(read_all(watching, each)) for each in (TENTH, ALL, Wanted())]
        await begun.wait()
        async with connection.transaction():
            for _ in range(8):
                await publish(connection, 10)
        await mark(connection)
        for wanted, told in zip((TENTH, ALL, Wanted()), await asyncio.gather(*readers), strict=True):
            signs = {cursor.encode(): number for number, (event, cursor) in enumerate(told) if event is None}
            for number in signs.values():
                expected = sizes([event for event, _ in told[number:] if event is not None])
                async with aclosing(watching.watch(wanted, told[number][1])) as again:
                    assert sizes(await read_until(again, "mark")) == expected
