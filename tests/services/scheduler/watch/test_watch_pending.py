"""WatchSchedules: runs that stay pending, because their broker is away, are told; none on its way is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import Database, driver_url
from services.scheduler.dispatch.pending_log import Pending
from services.scheduler.schedule.definition import RunState
from services.scheduler.watch.changes import Event, LeftOut, RunEvents, Wanted
from tests.support.calls import eventually
from tests.support.schedulers import Scheduler
from tests.support.schedules import CRONTAB, create
from tests.support.servers import Valkey, create_migrated_database
from tests.support.watch_hubs import BATCH, PUBLISH, read, read_until, running
from tests.support.watch_hubs import create as create_in
from tests.support.watchers import Watcher, watching

PENDING, PUBLISHED = pb.RUN_STATE_PENDING, pb.RUN_STATE_PUBLISHED
NAME, OTHER = "schedules/p", "schedules/other"
AGED = "UPDATE celery_schedule_batches SET recorded_at = now() - $2::interval WHERE id = $1"
LOGGED = "SELECT batch_id FROM celery_schedule_changes WHERE kind = 'unpublished' ORDER BY batch_id"


def states(watcher: Watcher) -> list[int]:
    return [run.state for run in watcher.runs(NAME)]


def test_a_run_whose_broker_is_away_is_told_as_pending_once_and_then_as_published(
    lone_scheduler: Scheduler, other: Scheduler, valkey: Valkey
) -> None:
    for name, team in ((NAME, "growth"), (OTHER, "ops")):
        task = pb.TaskSpec(task_name="count", queue="queues/nobody")
        schedule = pb.Schedule(name=name, task=task, timing=CRONTAB, labels={"team": team})
        create(lone_scheduler.schedules, schedule)
    with (
        watching(lone_scheduler) as watcher,
        watching(other, labels=["team=growth"]) as growth,
        watching(other, labels=["team=ops"]) as ops,
    ):
        cursor = watcher.cursor
        valkey.stop()
        trigger = pb.TriggerScheduleRequest(name=NAME)
        run = lone_scheduler.schedules.TriggerSchedule(trigger).run
        assert run.state == PENDING
        for each in (watcher, growth):
            eventually(lambda each=each: states(each) == [PENDING])
        assert watcher.runs(NAME) == [run]
        # Later looks find it, too.
        later = pb.TriggerScheduleRequest(name=OTHER)
        lone_scheduler.schedules.TriggerSchedule(later)
        eventually(lambda: ops.runs(OTHER))
        valkey.start()
        for each in (watcher, growth):
            eventually(lambda each=each: states(each)[-1:] == [PUBLISHED])
            assert states(each) == [PENDING, PUBLISHED]
        assert states(ops) == []
    # Whoever comes later is told how it is by then.
    with watching(lone_scheduler, cursor=cursor, names=[NAME]) as late:
        eventually(lambda: states(late))
        lone_scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=NAME))
        eventually(late.schedules)
        assert states(late) == [PUBLISHED]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    url = await create_migrated_database(postgres_url)
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(driver_url(database.url))
    yield connection
    await connection.close()


async def recorded(connection: Any, age: str) -> int:
    batch_id: int = await connection.fetchval(BATCH, 10)
    await connection.execute(AGED.replace("$2", f"'{age}'"), batch_id)
    return batch_id


async def logged(connection: Any) -> list[int]:
    return [row["batch_id"] for row in await connection.fetch(LOGGED)]


async def test_what_is_late_is_logged_once_whoever_looks_and_how_often(
    database: Database, connection: Any
) -> None:
    late = [await recorded(connection, f"{10 + number} seconds") for number in range(7)]
    published = await recorded(connection, "1 hour")
    await connection.execute(PUBLISH, published)
    old = [await recorded(connection, "2 minutes") for _ in range(4)]
    await recorded(connection, "1 second")
    one, two = Pending(database, at_a_time=3), Pending(database)
    counts = await asyncio.gather(one.look(), two.look())
    assert max(counts) <= len(late + old) <= sum(counts)
    assert await logged(connection) == late + old
    assert await one.look() == await two.look() == 0
    # Also where what is settled is passed over.
    more = await recorded(connection, "5 seconds")
    assert await one.look() == 1
    assert await two.look() == await Pending(database, at_a_time=2).look() == 0
    assert await logged(connection) == [*late, *old, more]
    # What is long settled is not looked at again, also when the log is trimmed.
    await connection.execute("DELETE FROM celery_schedule_changes WHERE batch_id = ANY ($1)", old)
    assert await one.look() == await two.look() == 0
    assert await Pending(database).look() == len(old)


async def test_while_nothing_is_late_nobody_is_woken(database: Database, connection: Any) -> None:
    await recorded(connection, "1 second")
    async with database.listening("celery_schedule_changes") as notices:
        assert await anext(notices) == ""
        notice = asyncio.ensure_future(anext(notices))
        pending = Pending(database)
        assert await pending.look() == 0
        await recorded(connection, "10 seconds")
        assert await pending.look() == 1
        await notice
        # Found again, and known.
        notice = asyncio.ensure_future(anext(notices))
        assert await pending.look() == 0
        await connection.execute("NOTIFY celery_schedule_changes, 'the next'")
        assert await notice == "the next"


async def test_what_is_pending_is_counted_for_whom_it_is_left_out(
    database: Database, connection: Any
) -> None:
    def runs(told: list[Event | LeftOut]) -> list[tuple[int, set[RunState]]]:
        events = [event for event in told if isinstance(event, RunEvents)]
        return [(len(event.runs), {run.state for run in event.runs}) for event in events]

    pending = Pending(database)
    async with (
        running(database, buffer=5) as watching,
        aclosing(watching.watch(Wanted(), None)) as slow,
        aclosing(watching.watch(Wanted(), None)) as quick,
        aclosing(watching.watch(Wanted(frozenset({"tenth", "last"})), None)) as named,
    ):
        for stream in (slow, quick, named):
            await read(stream)
        for _ in range(3):
            await recorded(connection, "1 minute")
            assert await pending.look() == 1
            event, _ = await read(quick)
            assert isinstance(event, RunEvents)
            assert {run.state for run in event.runs} == {RunState.PENDING}
        await create_in(database, "last")
        assert await read_until(quick, "last") == []
        assert runs(await read_until(named, "last")) == [(1, {RunState.PENDING})] * 3
        assert len((await read(slow))[0].runs) == 10  # type: ignore[union-attr]
        assert (await read(slow))[0] == LeftOut(2 * 10 + 1)
