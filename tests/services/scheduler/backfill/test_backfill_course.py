"""A backfill under way: at its pace, cancelled, paused or deleted; sent once, whatever is killed."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis.asyncio
from celeriac.scheduler.v1 import schedules_pb2 as pb

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database
from services.scheduler.backfill.backfiller import Backfills
from services.scheduler.dispatch.delivery import Delivery
from tests.support.backfills import CANCELLED, Hourly
from tests.support.calls import eventually, refused
from tests.support.dispatchers import delivery_to
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.schedules import HOUR
from tests.support.servers import Valkey
from tests.support.sql import fetch

Code = grpc.StatusCode


def test_the_rate_is_kept_and_a_cancelled_backfill_sends_no_more(hourly: Hourly, schedules: Any) -> None:
    paced = hourly.begin(6, rate=2)
    hourly.ended(paced)
    eventually(lambda: all(run.HasField("publish_time") for run in hourly.runs()))
    times = [run.publish_time.ToDatetime() for run in hourly.runs()]
    # Two and a half by the rate; a late step may make up for one.
    assert max(times) - min(times) > dt.timedelta(seconds=1)
    begun = hourly.begin(100, rate=2)
    assert begun.run_count == 94
    eventually(lambda: hourly.get(begun).sent_count > 0)
    ended = schedules.CancelBackfill(pb.CancelBackfillRequest(name=begun.name)).backfill
    assert (ended.state, ended.note) == (CANCELLED, "cancelled by mei")
    assert 0 < ended.sent_count < 94
    eventually(lambda: len(hourly.sent()) == 6 + ended.sent_count)
    # The next of the schedule has its turn, and is sent beside nothing of the cancelled one.
    rest = hourly.begin(100)
    assert rest.run_count == 94 - ended.sent_count
    hourly.ended(rest)
    eventually(lambda: len(hourly.sent()) == 100)
    assert hourly.sent_ids() == hourly.ids(100)
    again = schedules.CancelBackfill(pb.CancelBackfillRequest(name=begun.name)).backfill
    assert again == hourly.get(begun) == ended
    answer = schedules.ListBackfills(pb.ListBackfillsRequest(parent=hourly.name, page_size=2))
    assert [each.name for each in answer.backfills] == [rest.name, begun.name]
    rest_of_them = schedules.ListBackfills(
        pb.ListBackfillsRequest(parent=hourly.name, page_size=2, page_token=answer.next_page_token)
    )
    assert [each.name for each in rest_of_them.backfills] == [paced.name]
    assert not rest_of_them.next_page_token
    everyones = schedules.ListBackfills(pb.ListBackfillsRequest()).backfills
    assert everyones[0].name == rest.name


def test_pausing_and_deleting_a_schedule_end_its_backfill(hourly: Hourly, schedules: Any) -> None:
    begun = hourly.begin(100, rate=0.5)
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=hourly.name))
    ended = hourly.get(begun)
    assert (ended.state, ended.note) == (CANCELLED, "the schedule was paused")
    code, message = refused(schedules.BackfillSchedule, hourly.request(100))
    assert code is Code.FAILED_PRECONDITION and "is paused" in message
    schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=hourly.name))
    begun = hourly.begin(100, rate=0.5)
    code, message = refused(schedules.BackfillSchedule, hourly.request(100))
    assert code is Code.FAILED_PRECONDITION and begun.name in message
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=hourly.name))
    code, _ = refused(schedules.GetBackfill, pb.GetBackfillRequest(name=begun.name))
    assert code is Code.NOT_FOUND
    code, _ = refused(schedules.BackfillSchedule, hourly.request(100))
    assert code is Code.NOT_FOUND


def test_each_is_sent_once_by_two_replicas_of_which_one_is_killed_again_and_again(
    hourly: Hourly, certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> None:
    with running_scheduler(certificates, tokens, database_url, valkey) as other:
        begun = hourly.begin(200, rate=20)
        for sent in (20, 60, 100):
            eventually(lambda sent=sent: hourly.get(begun).sent_count >= sent)
            other.process.kill()
            other.process.start()
        assert hourly.ended(begun).sent_count == 200
        eventually(lambda: {run.state for run in hourly.runs()} == {pb.RUN_STATE_PUBLISHED})
    assert hourly.sent_ids() == hourly.ids(200)


def test_a_backfill_goes_on_after_all_replicas_were_killed(
    hourly: Hourly, schedules: Any, lone_scheduler: Scheduler
) -> None:
    begun = hourly.begin(100, rate=20)
    eventually(lambda: hourly.get(begun).sent_count > 0)
    lone_scheduler.process.kill()
    lone_scheduler.process.start()
    eventually(lambda: reached(schedules))
    assert hourly.ended(begun).sent_count == 100
    eventually(lambda: len(hourly.sent()) >= 100)
    assert hourly.sent_ids() == hourly.ids(100)


def reached(schedules: Any) -> bool:
    try:
        schedules.ListBackfills(pb.ListBackfillsRequest())
    except grpc.RpcError:
        return False
    return True


async def test_what_was_recorded_and_not_published_is_healed_and_has_not_expired(
    hourly: Hourly, lone_scheduler: Scheduler, database_url: str, valkey: Valkey
) -> None:
    """The process ends between commit and publish."""
    async with stepped_by_hand(lone_scheduler, database_url, valkey) as (backfills, delivery):
        await begun_by_hand(database_url, hourly, 3)
        publish, delivery.publish = delivery.publish, dies  # type: ignore[method-assign, assignment]
        await backfills.send_ready()
        assert hourly.sent() == []
        delivery.publish = publish  # type: ignore[method-assign]
        assert await delivery.heal(dt.timedelta(0)) == 1
        assert await delivery.heal(dt.timedelta(0)) == 0
        await backfills.send_ready()
    assert hourly.sent_ids() == hourly.ids(3)
    for message in hourly.sent():
        assert dt.datetime.fromisoformat(message["headers"]["expires"]) > dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_no_step_is_taken_before_the_last_one_was_published_so_that_the_order_is_kept(
    hourly: Hourly, lone_scheduler: Scheduler, database_url: str, valkey: Valkey, newest_first: bool
) -> None:
    """The process ends between commit and publish, and another goes on with the backfill."""

    async def step() -> None:
        # Its time has come, but for what is on its way.
        await fetch(database_url, "UPDATE celery_schedule_backfills SET next_at = now()")
        await backfills.send_ready()

    async with stepped_by_hand(lone_scheduler, database_url, valkey) as (backfills, delivery):
        await begun_by_hand(database_url, hourly, 50, newest_first=newest_first)
        publish, delivery.publish = delivery.publish, dies  # type: ignore[method-assign, assignment]
        await backfills.send_ready()
        delivery.publish = publish  # type: ignore[method-assign]
        for _ in range(5):
            await step()
        assert hourly.sent() == []
        assert await delivery.heal(dt.timedelta(0)) == 1
        assert len(hourly.sent()) == 20
        for _ in range(2):
            await step()
    assert hourly.sent_ids() == hourly.ids(50)[:: -1 if newest_first else 1]


async def dies(*_: Any) -> None:
    raise ConnectionError


@asynccontextmanager
async def stepped_by_hand(
    lone_scheduler: Scheduler, database_url: str, valkey: Valkey
) -> AsyncIterator[tuple[Backfills, Delivery]]:
    """What takes the steps of backfills, and sends them, in the place of the scheduler."""
    await asyncio.to_thread(lone_scheduler.process.stop)
    database = Database(database_url)
    try:
        async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
            delivery = delivery_to(client, database)
            yield Backfills(database, delivery), delivery
    finally:
        await database.close()
        await asyncio.to_thread(lone_scheduler.process.start)


async def begun_by_hand(url: str, hourly: Hourly, count: int, *, newest_first: bool = False) -> None:
    due = hourly.due(count)
    await fetch(
        url,
        "INSERT INTO celery_schedule_backfills"
        " (id, schedule_id, start_at, end_at, newest_first, rate, actor, due_at, run_count)"
        " VALUES ($1, $2, $3, $4, $7, 100, 'mei', $5, $6)",
        uuid.uuid4().hex[:16],
        hourly.id,
        due[0],
        due[-1] + HOUR,
        due[::-1] if newest_first else due,
        count,
        newest_first,
    )
