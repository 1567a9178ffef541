"""Which due times a backfill sends and which it passes over, in what order; how long they are kept."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import Database
from services.scheduler.runs.retention import delete_old_runs
from tests.support.backfills import DONE, Hourly, record
from tests.support.calls import eventually
from tests.support.runs import task_id_of
from tests.support.schedules import HOUR, at
from tests.support.sql import fetch


def test_a_window_is_sent_oldest_first_and_expires_from_the_moment_of_sending(
    hourly: Hourly, schedules: Any
) -> None:
    begun = hourly.begin(25)
    assert begun.name.startswith(f"{hourly.name}/backfills/")
    assert (begun.run_count, begun.actor, begun.rate) == (25, "mei", 100)
    assert begun.first_due_time == at(hourly.first)
    assert begun.last_due_time == at(hourly.first + 24 * HOUR)
    ended = hourly.ended(begun)
    assert (ended.state, ended.sent_count, ended.passed_count) == (DONE, 25, 0)
    assert ended.HasField("finish_time")
    eventually(lambda: len(hourly.sent()) == 25)
    assert hourly.sent_ids() == hourly.ids(25)
    now = dt.datetime.now(dt.UTC)
    for message in hourly.sent():
        assert now < dt.datetime.fromisoformat(message["headers"]["expires"]) < now + HOUR
    eventually(lambda: {run.state for run in hourly.runs()} == {pb.RUN_STATE_PUBLISHED})
    runs = hourly.runs()
    assert {run.reason for run in runs} == {"backfilled by mei"}
    assert [task_id_of(run) for run in runs] == hourly.ids(25)
    found = schedules.GetSchedule(pb.GetScheduleRequest(name=hourly.name)).schedule
    assert found.run_count == 0


def test_newest_first(hourly: Hourly) -> None:
    hourly.ended(hourly.begin(10, order=pb.BACKFILL_ORDER_NEWEST_FIRST))
    eventually(lambda: len(hourly.sent()) == 10)
    assert hourly.sent_ids() == hourly.ids(10)[::-1]


def test_what_was_passed_over_is_taken_over_and_what_was_run_is_not_run_again(
    hourly: Hourly, database_url: str
) -> None:
    skipped, published, lost = hourly.due(3)
    record(database_url, hourly, skipped, "skipped")
    record(database_url, hourly, published, "batched")
    record(database_url, hourly, lost, "lost")
    begun = hourly.begin(6)
    assert begun.run_count == 4
    assert hourly.ended(begun).sent_count == 4
    expected = [each for number, each in enumerate(hourly.ids(6)) if number not in (1, 2)]
    eventually(lambda: len(hourly.sent()) == 4)
    assert hourly.sent_ids() == expected
    eventually(lambda: hourly.runs()[0].state == pb.RUN_STATE_PUBLISHED)
    assert hourly.runs()[0].reason == "backfilled by mei"
    # All of it has run now.
    again = hourly.begin(6)
    assert (again.state, again.run_count) == (DONE, 0)
    assert not again.HasField("first_due_time")


def test_what_is_run_while_the_backfill_goes_on_is_passed_over(hourly: Hourly, database_url: str) -> None:
    begun = hourly.begin(4, rate=1)
    record(database_url, hourly, hourly.due(4)[3], "batched")
    ended = hourly.ended(begun)
    assert (ended.state, ended.sent_count, ended.passed_count) == (DONE, 3, 1)
    eventually(lambda: hourly.sent_ids() == hourly.ids(3))


async def test_a_backfilled_run_is_kept_as_long_as_any_from_its_backfill_on(
    hourly: Hourly, database_url: str
) -> None:
    begun = await asyncio.to_thread(hourly.begin, 3)
    await asyncio.to_thread(hourly.ended, begun)
    await asyncio.to_thread(eventually, lambda: len(hourly.sent()) == 3)
    database = Database(database_url)
    try:
        async with database.transaction() as connection:
            await delete_old_runs(connection, HOUR, 1000)
        assert len(await asyncio.to_thread(hourly.runs)) == 3
        aged = "UPDATE celery_schedule_runs SET recorded_at = recorded_at - interval '2 hours'"
        await fetch(database_url, f"{aged} WHERE schedule_id = $1", hourly.id)
        async with database.transaction() as connection:
            assert await delete_old_runs(connection, HOUR, 1000) >= 3
        assert not await asyncio.to_thread(hourly.runs)
    finally:
        await database.close()
