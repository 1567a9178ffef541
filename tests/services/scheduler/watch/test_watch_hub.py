"""Everyone who watches, on the real log: slow readers, filters, what is looked up, and rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.kernel.database import Database, driver_url
from services.kernel.errors import Unavailable
from services.scheduler.watch.changes import Kind, LeftOut, RunEvents, ScheduleEvent, Wanted
from services.scheduler.watch.store_changes import ENTRIES
from tests.support.watch_hubs import BATCH, PUBLISH, create, publish, read, read_until, running, sizes


@pytest.fixture
async def connection(database_url: str, database: Database) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(driver_url(database_url))
    yield connection
    await connection.execute("DELETE FROM celery_schedules; DELETE FROM celery_schedule_runs")
    await connection.close()


async def test_a_slow_reader_loses_one_gap_is_told_its_size_and_holds_nobody_up(
    database: Database, connection: Any
) -> None:
    async with running(database) as watching:
        slow, quick = watching.watch(Wanted(), None), watching.watch(Wanted(), None)
        for stream in (slow, quick):
            assert (await read(stream))[0] is None
        for _ in range(6):
            await publish(connection, 30)
            assert sizes([event for event, _ in [await read(quick)] if event is not None]) == [30]
        await create(database, "last")
        assert await read_until(quick, "last") == []
        taken = [await read(slow) for _ in range(3)]
        # The buffer takes what is begun: 60 of 50. Then 4 times 30, and the schedule.
        assert [len(event.runs) for event, _ in taken[:2] if isinstance(event, RunEvents)] == [30, 30]
        assert taken[2][0] == LeftOut(121)
        await create(database, "after")
        assert await read_until(slow, "after") == []
        # With the cursor of before the gap, all of it can be had.
        again = watching.watch(Wanted(), taken[1][1])
        assert sizes(await read_until(again, "last")) == [30] * 4
        # And with that of after the gap, none of it.
        later = watching.watch(Wanted(), taken[2][1])
        assert await read_until(later, "after") == []
        for stream in (slow, quick, again, later):
            await stream.aclose()
        assert watching.readers == 0


async def test_who_watches_one_schedule_has_room_for_it_whatever_others_do(
    database: Database, connection: Any
) -> None:
    async with running(database) as watching:
        stopped, named = watching.watch(Wanted(), None), watching.watch(Wanted(frozenset({"tenth"})), None)
        await read(stopped)
        await read(named)
        for _ in range(4):
            await publish(connection, 100)
        await create(database, "tenth")
        assert sizes(await read_until(named, "tenth")) == [10] * 4
        assert sizes([event for event, _ in [await read(stopped)] if event is not None]) == [100]
        # Counted, though it was not looked up.
        assert (await read(stopped))[0] == LeftOut(301)
        for stream in (stopped, named):
            await stream.aclose()


async def test_a_run_that_has_ended_since_is_told_once_as_it_ended(
    database: Database, connection: Any
) -> None:
    async with running(database) as watching:
        stream = watching.watch(Wanted(), None)
        _, start = await read(stream)
        await stream.aclose()
        await publish(connection, 20)
        ended = "UPDATE celery_schedule_runs SET outcome = 'SUCCESS' WHERE schedule_id = 'tenth'"
        await connection.execute(ended)
        await connection.execute(ended)  # changes nothing
        await connection.execute("UPDATE celery_schedule_runs SET exclusive = true")  # shows nowhere
        await create(database, "last")
        again = watching.watch(Wanted(), start)
        told = [event for event in await read_until(again, "last") if isinstance(event, RunEvents)]
        outcomes = [[(run.schedule_id, run.outcome) for run in event.runs] for event in told]
        assert outcomes == [[("one", None)] * 18, [("tenth", "SUCCESS")] * 2]
        await again.aclose()


async def test_a_backlog_of_many_pages_is_read_before_the_present(
    database: Database, connection: Any
) -> None:
    async with running(database) as watching:
        first = watching.watch(Wanted(), None)
        _, start = await read(first)
        names = [f"n-{number}" for number in range(45)]
        await create(database, *names)
        for _ in range(30):
            await publish(connection, 20)
        await create(database, "last")
        again = watching.watch(Wanted(), start)
        told = await read_until(again, "last")
        assert [event.id for event in told if isinstance(event, ScheduleEvent)] == names
        # More than a buffer, and nothing is left out: it is read at the reader's pace.
        assert sizes(told) == [20] * 30
        assert not any(isinstance(event, LeftOut) for event in told)
        for stream in (first, again):
            await stream.aclose()


async def test_created_anew_is_told_as_it_is_in_the_end(database: Database, connection: Any) -> None:
    async with running(database) as watching:
        first = watching.watch(Wanted(), None)
        _, start = await read(first)
        await create(database, "anew", "gone")
        await connection.execute("DELETE FROM celery_schedules")
        await create(database, "anew", "last")
        again = watching.watch(Wanted(), start)
        told = [event for event in await read_until(again, "last") if isinstance(event, ScheduleEvent)]
        assert [(event.kind, event.id) for event in told if event.id == "gone"] == [(Kind.DELETED, "gone")]
        assert {event.kind for event in told if event.id == "anew"} == {Kind.CREATED}
        for stream in (first, again):
            await stream.aclose()


async def test_while_nobody_watches_nothing_listens(database: Database, connection: Any) -> None:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'LISTEN%celery_schedule_changes%'"
    )

    async def listeners() -> int:
        count: int = await connection.fetchval(query)
        return count

    async def become(count: int) -> None:
        async with asyncio.timeout(20):
            while await listeners() != count:
                await connection.execute("SELECT pg_sleep(0.02)")

    async with running(database) as watching:
        assert await listeners() == 0
        stream = watching.watch(Wanted(), None)
        await read(stream)
        await become(1)
        await stream.aclose()
        await become(0)
        # And it begins anew.
        stream = watching.watch(Wanted(), None)
        await read(stream)
        await create(database, "seen")
        assert await read_until(stream, "seen") == []
        await stream.aclose()


async def test_what_the_dispatcher_does_all_the_time_writes_no_log(
    database: Database, connection: Any
) -> None:
    await create(database, "one")
    count = "SELECT count(*) FROM celery_schedule_changes"
    before = await connection.fetchval(count)
    await connection.execute(
        "UPDATE celery_schedules SET last_run_at = now(), next_run_at = now(), next_due_at = NULL,"
        " run_count = run_count + 1"
    )
    batch_id = await connection.fetchval(BATCH, 500)
    assert await connection.fetchval(count) == before
    await connection.execute(PUBLISH, batch_id)
    assert await connection.fetchval(count) == before + 1
    row = await connection.fetchrow("SELECT * FROM celery_schedule_changes ORDER BY position DESC LIMIT 1")
    assert (row["kind"], row["batch_id"], row["schedule_ids"]) == ("batch", batch_id, None)


async def test_the_log_is_read_by_its_indexes(database: Database, connection: Any) -> None:
    """However long it is: what a look at an idle log, and a page of a long one, read of it."""
    await connection.execute(
        "INSERT INTO celery_schedule_changes (kind, batch_id, txid)"
        " SELECT 'batch', n, CAST(CAST(n / 20 + 1 AS text) AS xid8) FROM generate_series(1, 20000) AS n"
    )
    for values in (["100"], "1000", "1000:1000:", "0", 0, 10), ([], "3", "1000:1000:", "0", 0, 10):
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {ENTRIES}", *values)
        read = (
            json.loads(plan)[0]["Plan"]["Shared Hit Blocks"]
            + json.loads(plan)[0]["Plan"]["Shared Read Blocks"]
        )
        assert read < 60, plan
    await connection.execute("DELETE FROM celery_schedule_changes WHERE batch_id <= 20000")


async def test_of_too_much_at_once_the_rest_is_counted_and_can_be_had_by_cursor(
    database: Database, connection: Any
) -> None:
    async with running(database, buffer=100_000) as watching:
        everything, named = watching.watch(Wanted(), None), watching.watch(Wanted(frozenset({"tenth"})), None)
        _, start = await read(everything)
        await read(named)
        async with connection.transaction():
            for _ in range(25):
                await publish(connection, 1000)
        told = [event for event, _ in [await read(everything) for _ in range(20)] if event is not None]
        assert sizes(told) == [1000] * 20
        counted = 0
        while counted < 5000:
            event, _ = await read(everything)
            assert isinstance(event, LeftOut)
            counted += event.count
        assert counted == 5000
        await create(database, "tenth")
        assert await read_until(everything, "tenth") == []
        assert sizes(await read_until(named, "tenth")) == [100] * 25
        again = watching.watch(Wanted(), start)
        assert sizes(await read_until(again, "tenth")) == [1000] * 25
        for stream in (everything, named, again):
            await stream.aclose()


async def test_connections_that_die_cost_no_change(database: Database, connection: Any) -> None:
    """A reader goes on, or is told to come back; with its cursor, nothing is missing."""
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with running(database) as watching:
        stream = watching.watch(Wanted(), None)
        _, cursor = await read(stream)
        told: list[str] = []
        names = [f"k-{number}" for number in range(5)]
        for name in names:
            assert await connection.fetchval(kill) > 0
            await create(database, name)
        async with asyncio.timeout(60):
            while len(told) < len(names):
                try:
                    event, cursor = await anext(stream)
                    told += [event.id] if isinstance(event, ScheduleEvent) else []
                except Unavailable:
                    stream = watching.watch(Wanted(), cursor)
        assert told == names
        await stream.aclose()
