"""Clocks: the database's is off the broker's, and is set forward and back while schedules run."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from services.kernel.celery_publisher import SLOT_SECONDS, Publisher
from services.kernel.database import Database, driver_url
from services.kernel.migrations import migrate
from services.scheduler.catalogue.store_listing import RunFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.schedule.store_base import now_at
from services.scheduler.timing.due_times import IntervalTiming
from services.scheduler.timing.plan import Misfire, MisfireAction
from tests.support.dispatchers import dispatcher as running_dispatcher
from tests.support.servers import Valkey, create_database, temporary_valkey

NO_TIME = dt.timedelta(0)
# PostgreSQL's own functions of time, and how far they are off, found before those of pg_catalog.
CLOCK = """
    CREATE SCHEMA clock;
    CREATE TABLE clock.off (by interval NOT NULL);
    INSERT INTO clock.off VALUES ('0');
    CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql
        AS 'SELECT pg_catalog.now() + (SELECT by FROM clock.off)';
    CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS 'SELECT pg_catalog.clock_timestamp() + (SELECT by FROM clock.off)';
"""


async def with_a_clock(server: str) -> str:
    url = await create_database(server)
    connection = await asyncpg.connect(driver_url(url))
    try:
        await connection.execute(CLOCK)
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {name} SET search_path = public, clock, pg_catalog")
    finally:
        await connection.close()
    # Not a copy: what tables take by default is looked up when they are made.
    await migrate(url, "scheduler")
    return url


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    """A database whose clock can be set."""
    return asyncio.run(with_a_clock(postgres_url))


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture
async def database(database: Database) -> Database:
    await set_clock(database, NO_TIME)
    return database


@pytest.fixture
async def dispatcher(database: Database, valkey: Valkey) -> AsyncIterator[Dispatcher]:
    async with running_dispatcher(database, valkey) as dispatcher:
        yield dispatcher


async def set_clock(database: Database, by: dt.timedelta) -> dt.datetime:
    """Sets the database's clock off ours; what it shows then."""
    async with database.transaction() as connection:
        await connection.execute("UPDATE clock.off SET by = $1", by)
    return await now_at(database)


async def minutely(database: Database, now: dt.datetime, misfire: Misfire | None = None) -> None:
    """A schedule of each minute, due a moment ago."""
    timing = IntervalTiming(dt.timedelta(minutes=1), now - dt.timedelta(hours=5, seconds=1), "UTC")
    task = Task("count", queue="due")
    definition = Definition("s", task, timing, misfire=misfire or Misfire())
    async with database.transaction() as connection:
        await ScheduleStore(connection).create(definition, now - dt.timedelta(seconds=1))


async def dispatch(dispatcher: Dispatcher) -> int:
    """Dispatches what is due; how many batches that were."""
    batches = 0
    while await dispatcher.dispatch_batch():
        batches += 1
    await dispatcher.delivery.drain()
    return batches


async def runs(database: Database) -> list[tuple[dt.datetime, str]]:
    async with database.reading() as connection:
        found = await ScheduleStore(connection).list_runs(RunFilter("s"), None, 1000)
    return [(run.due_at, run.state.value) for run in reversed(found)]


async def sent(valkey: Valkey) -> list[bytes]:
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        messages: Any = await client.lrange("due", 0, -1)
    return list(messages)


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_broker_whose_clock_is_hours_off_the_databases_is_published_to(
    database: Database, dispatcher: Dispatcher, valkey: Valkey, hours: int
) -> None:
    now = await set_clock(database, dt.timedelta(hours=hours))
    await minutely(database, now)
    assert await dispatch(dispatcher) == 1
    assert [state for _, state in await runs(database)] == ["published"]
    assert len(await sent(valkey)) == 1


@pytest.mark.parametrize("hours", [-2, 2])
async def test_what_waited_for_a_broker_whose_clock_is_off_is_published_once(
    database: Database, dispatcher: Dispatcher, valkey: Valkey, hours: int
) -> None:
    now = await set_clock(database, dt.timedelta(hours=hours))
    await minutely(database, now)
    valkey.stop()
    await dispatch(dispatcher)
    assert [state for _, state in await runs(database)] == ["pending"]
    valkey.start()
    assert await dispatcher.delivery.heal(NO_TIME) == 1
    assert await dispatcher.delivery.heal(NO_TIME) == 0
    assert len(await sent(valkey)) == 1


async def test_a_permit_is_of_the_brokers_clock(valkey: Valkey) -> None:
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        publisher = Publisher(client, 0)
        before, _ = await client.time()
        slot = await publisher.slot()
        after, _ = await client.time()
        assert before + SLOT_SECONDS <= slot <= after + SLOT_SECONDS
        valkey.stop()
        # For a moment it holds for what is read next, too, since it ends sooner for that.
        assert await publisher.slot() == slot


async def test_a_database_clock_that_is_set_back_repeats_nothing_and_leaves_no_gap(
    database: Database, dispatcher: Dispatcher, valkey: Valkey
) -> None:
    now = await set_clock(database, NO_TIME)
    await minutely(database, now)
    for minutes in range(4):
        await set_clock(database, dt.timedelta(minutes=minutes))
        await dispatch(dispatcher)
    first = await runs(database)
    assert len(first) == 4
    await set_clock(database, dt.timedelta(minutes=1))
    assert await dispatch(dispatcher) == 0
    # Not even when a person has the schedule count from the time that it is now, again.
    async with database.transaction() as connection:
        await connection.execute("UPDATE celery_schedules SET next_run_at = $1", first[1][0])
    for minutes in range(1, 6):
        await set_clock(database, dt.timedelta(minutes=minutes))
        await dispatch(dispatcher)
    found = await runs(database)
    assert len(found) == 6 and found[:4] == first
    assert {after - before for (before, _), (after, _) in itertools.pairwise(found)} == {
        dt.timedelta(minutes=1)
    }
    assert Counter(state for _, state in found) == {"published": 6}
    assert len(await sent(valkey)) == 6


async def test_what_a_database_clock_jumps_over_is_missed_and_no_due_time_runs_twice(
    database: Database, dispatcher: Dispatcher, valkey: Valkey
) -> None:
    now = await set_clock(database, NO_TIME)
    await minutely(database, now, Misfire(MisfireAction.RUN_EACH, dt.timedelta(minutes=10)))
    await dispatch(dispatcher)
    await set_clock(database, dt.timedelta(hours=3))
    await dispatch(dispatcher)
    forward = await runs(database)
    await set_clock(database, NO_TIME)
    await dispatch(dispatcher)
    assert await runs(database) == forward
    states = Counter(state for _, state in forward)
    assert states["skipped"] == 1 and states["published"] in (11, 12)
    assert len(await sent(valkey)) == states["published"]


async def test_what_was_recorded_before_the_clock_was_set_back_does_not_wait_for_it_to_come_round(
    database: Database, dispatcher: Dispatcher, valkey: Valkey
) -> None:
    await minutely(database, await set_clock(database, NO_TIME))
    valkey.stop()
    await dispatch(dispatcher)
    await set_clock(database, dt.timedelta(hours=-2))
    valkey.start()
    assert await dispatcher.delivery.heal() == 1
    assert [state for _, state in await runs(database)] == ["published"]
    assert len(await sent(valkey)) == 1
