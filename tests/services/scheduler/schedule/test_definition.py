"""When a schedule runs, by its definition: counted, bounded, spread, made up for, edited."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.kernel.database import Database
from services.scheduler.catalogue.catalogue import Catalogue
from services.scheduler.catalogue.store_listing import EVERY_RUN, RunFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.schedule.definition import Definition, Run, Task
from services.scheduler.schedule.store_base import now_at
from services.scheduler.timing.due_times import IntervalTiming
from services.scheduler.timing.plan import Bounds, Misfire, MisfireAction
from tests.support.dispatchers import dispatcher
from tests.support.schedules import DAY, HOUR, MINUTE, SECOND
from tests.support.servers import Valkey

TASK = Task("count", queue="due")


@asynccontextmanager
async def drained(database: Database, valkey: Valkey) -> AsyncIterator[Dispatcher]:
    """A dispatcher that has published all that it recorded."""
    async with dispatcher(database, valkey) as one:
        yield one
        await one.delivery.drain()


async def dispatched(database: Database, valkey: Valkey) -> None:
    """Dispatches until nothing is due."""
    async with drained(database, valkey) as one:
        while await one.dispatch_batch():
            pass


def each_minute(name: str, since: dt.datetime, **rest: Any) -> Definition:
    return Definition(name, TASK, IntervalTiming(MINUTE, since, "UTC"), **rest)


async def created(database: Database, definition: Definition, due: dt.datetime) -> None:
    async with database.transaction() as connection:
        await ScheduleStore(connection).create(definition, due)


async def runs_of(database: Database, name: str) -> list[Run]:
    async with database.reading() as connection:
        return list(reversed(await ScheduleStore(connection).list_runs(RunFilter(name), None, 1000)))


async def due_next(database: Database, name: str) -> dt.datetime | None:
    async with database.reading() as connection:
        return (await ScheduleStore(connection).get(name)).next_due_at


def a_while_ago(span: dt.timedelta) -> dt.datetime:
    return (dt.datetime.now(dt.UTC) - span).replace(microsecond=0)


# ------------------------------------------------------------------------------------- counted


async def test_two_dispatchers_run_a_schedule_exactly_its_most_times(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(40 * MINUTE)
    for number in range(20):
        definition = each_minute(
            f"s-{number}",
            since,
            bounds=Bounds(max_runs=1 + number),
            misfire=Misfire(MisfireAction.RUN_EACH, HOUR),
        )
        await created(database, definition, since)
    await asyncio.gather(*(dispatched(database, valkey) for _ in range(2)))
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT schedule_id, state FROM celery_schedule_runs_seen")
        found = Counter((row["schedule_id"], row["state"]) for row in rows)
        stored = await connection.fetch("SELECT id, run_count, next_run_at FROM celery_schedules")
        counts = {row["id"]: (row["run_count"], row["next_run_at"]) for row in stored}
    assert found == {(f"s-{number}", "published"): 1 + number for number in range(20)}
    assert counts == {f"s-{number}": (1 + number, None) for number in range(20)}


async def test_a_due_time_that_was_run_already_is_not_counted_again(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(5 * SECOND)
    await created(database, each_minute("s", since, bounds=Bounds(max_runs=2)), since)
    await dispatched(database, valkey)
    # As a clock that is set back, or a restored row, would have it.
    async with database.transaction() as connection:
        await connection.execute("UPDATE celery_schedules SET next_run_at = $1", since)
    await dispatched(database, valkey)
    assert len(await runs_of(database, "s")) == 1
    assert await due_next(database, "s") == since + MINUTE
    async with database.reading() as connection:
        assert (await ScheduleStore(connection).get("s")).run_count == 1


async def test_a_higher_most_wakes_a_schedule_that_was_done(database: Database, valkey: Valkey) -> None:
    since = a_while_ago(5 * SECOND)
    await created(database, each_minute("s", since, bounds=Bounds(max_runs=1)), since)
    async with drained(database, valkey) as one:
        await one.dispatch_batch()
        assert await due_next(database, "s") is None
        wanted = each_minute("s", since, bounds=Bounds(max_runs=2))
        schedule = await Catalogue(database, one.delivery).change("s", "", lambda *_: wanted)
    assert schedule.next_due_at == since + MINUTE


# --------------------------------------------------------------------- missed, and made up for


@pytest.mark.parametrize("action", list(MisfireAction))
async def test_each_decision_about_missed_due_times_is_in_the_history(
    database: Database, valkey: Valkey, action: MisfireAction
) -> None:
    since = a_while_ago(30 * MINUTE + 5 * SECOND)
    await created(database, each_minute("s", since, misfire=Misfire(action, 10 * MINUTE)), since)
    await dispatched(database, valkey)
    runs = await runs_of(database, "s")
    states = Counter(run.state.value for run in runs)
    assert runs[0].state.value == "skipped"
    if action is MisfireAction.SKIP:
        # The last one was in time.
        assert states == {"skipped": 1, "published": 1}
        assert "its policy is to skip" in runs[0].reason
        assert runs[-1].reason == "due"
    elif action is MisfireAction.RUN_ONCE:
        assert states == {"skipped": 1, "published": 1}
        assert "makes up for all that was missed" in runs[-1].reason
    else:
        assert states == {"skipped": 1, "published": 10}
        assert "more than 0:10:00" in runs[0].reason
        assert "each missed run is made up for" in runs[1].reason
    assert runs[-1].due_at == since + 30 * MINUTE
    assert await due_next(database, "s") == since + 31 * MINUTE


async def test_what_was_skipped_is_not_the_last_run(database: Database, valkey: Valkey) -> None:
    since = a_while_ago(2 * HOUR)
    definition = Definition("s", TASK, IntervalTiming(DAY, since, "UTC"))
    await created(database, definition, since)
    await dispatched(database, valkey)
    async with database.reading() as connection:
        stored = await ScheduleStore(connection).get("s")
    assert (stored.last_run_at, stored.run_count) == (None, 0)


async def test_a_clock_set_forward_is_decided_by_the_misfire_policy(
    database: Database, valkey: Valkey
) -> None:
    # To the table it is the same: its due time is suddenly hours ago.
    since = a_while_ago(3 * HOUR)
    definition = Definition("s", TASK, IntervalTiming(DAY, since, "UTC"), misfire=Misfire(window=4 * HOUR))
    await created(database, definition, since)
    await dispatched(database, valkey)
    (run,) = await runs_of(database, "s")
    assert run.reason.startswith("late by 3:00:0")
    assert await due_next(database, "s") == since + DAY


# ----------------------------------------------------------------------------------- spread out


async def test_jitter_delays_the_message_and_not_the_due_time(database: Database, valkey: Valkey) -> None:
    since = a_while_ago(10 * SECOND)
    waits: list[str] = []
    sent: list[str] = []
    for number in range(20):
        definition = each_minute(f"s-{number}", since, jitter=20 * SECOND)
        at = definition.plan.sent_at(definition.id, since)
        (sent if at <= since + 10 * SECOND else waits).append(definition.id)
        await created(database, definition, since)
    await dispatched(database, valkey)
    async with database.reading() as connection:
        runs = await ScheduleStore(connection).list_runs(EVERY_RUN, None, 100)
    ran = {run.schedule_id for run in runs}
    assert set(sent) <= ran and sent and waits
    assert {run.due_at for run in runs} == {since}
    assert {run.reason for run in runs} == {"due"}
    for name in waits:
        assert name in ran or await due_next(database, name) == since


# ---------------------------------------------------------------------------------------- edited


async def test_django_celery_beat_818_an_edit_at_the_due_time_loses_no_run(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(2 * SECOND)
    await created(database, each_minute("s", since), since)
    async with drained(database, valkey) as one:
        catalogue = Catalogue(database, one.delivery)
        now = await now_at(database)
        other = IntervalTiming(HOUR, now + HOUR, "UTC")
        # The due time has come, and no dispatcher has taken it yet.
        changed = await catalogue.change("s", "", lambda *_: Definition("s", TASK, other))
        assert changed.next_due_at == since
        await one.dispatch_batch()
    assert [(run.due_at, run.reason) for run in await runs_of(database, "s")] == [(since, "due")]
    assert await due_next(database, "s") == now + HOUR


async def test_django_celery_beat_537_a_resumed_schedule_does_not_fire_at_once(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(3 * HOUR)
    await created(database, each_minute("s", since), since + 5 * HOUR)
    async with drained(database, valkey) as one:
        catalogue = Catalogue(database, one.delivery)
        assert (await catalogue.pause("s", "")).next_due_at is None
        resumed = await catalogue.resume("s")
        now = await now_at(database)
        assert resumed.next_due_at is not None and now - SECOND < resumed.next_due_at <= now + MINUTE
    assert await runs_of(database, "s") == []


async def test_celery_7577_an_edit_right_after_the_due_time_does_not_send_it_again(
    database: Database, valkey: Valkey
) -> None:
    since = a_while_ago(2 * SECOND)
    await created(database, each_minute("s", since), since)
    async with drained(database, valkey) as one:
        await one.dispatch_batch()
        changed = Definition("s", TASK._replace(args_json="[1]"), IntervalTiming(MINUTE, since, "UTC"))
        schedule = await Catalogue(database, one.delivery).change("s", "", lambda *_: changed)
        assert schedule.next_due_at == since + MINUTE
        assert await one.dispatch_batch() == 0
    assert len(await runs_of(database, "s")) == 1
