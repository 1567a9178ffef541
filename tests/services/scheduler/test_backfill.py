"""Backfills: due times of the past, each sent once, at a pace, also by replicas that are killed."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
import redis
import redis.asyncio
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp
from prometheus_client import CollectorRegistry

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database, driver_url
from services.scheduler.backfilling import Backfills
from services.scheduler.delivery import Delivery
from services.scheduler.publisher import Publisher
from services.scheduler.store_retention import delete_old_runs
from tests.support.calls import eventually, fields_at_fault, refused
from tests.support.hourly import HOUR, Hourly, stamp
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey

Code = grpc.StatusCode
DONE = pb.BACKFILL_STATE_DONE
CANCELLED = pb.BACKFILL_STATE_CANCELLED


@pytest.fixture(scope="module")
def scheduler(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> Iterator[Scheduler]:
    valkey.flush()
    with running_scheduler(certificates, tokens, database_url, valkey) as scheduler:
        yield scheduler


async def execute(url: str, statement: str, *values: Any) -> None:
    connection = await asyncpg.connect(driver_url(url))
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


def record(url: str, schedule: Hourly, due: dt.datetime, state: str) -> None:
    asyncio.run(
        execute(
            url,
            "WITH batch AS (INSERT INTO celery_schedule_batches (published_at) VALUES (now()) RETURNING id)"
            " INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)"
            " SELECT $1, $2, $3, 'due', id FROM batch",
            schedule.id,
            due,
            state,
        )
    )


def test_a_window_is_sent_oldest_first_and_expires_from_the_moment_of_sending(
    scheduler: Scheduler, valkey: Valkey
) -> None:
    hourly = Hourly(scheduler, valkey)
    begun = hourly.begin(25)
    assert begun.name.startswith(f"{hourly.name}/backfills/")
    assert (begun.run_count, begun.actor, begun.rate) == (25, "mei", 100)
    assert begun.first_due_time == stamp(hourly.first)
    assert begun.last_due_time == stamp(hourly.first + 24 * HOUR)
    ended = hourly.ended(begun)
    assert (ended.state, ended.sent_count, ended.passed_count) == (DONE, 25, 0)
    assert ended.HasField("finish_time")
    eventually(lambda: len(hourly.sent()) == 25)
    assert hourly.sent_ids() == hourly.ids(25)
    now = dt.datetime.now(dt.UTC)
    for message in hourly.sent():
        assert now < dt.datetime.fromisoformat(message["headers"]["expires"]) < now + HOUR
    eventually(lambda: {run.state for run in scheduler.runs(hourly.name)} == {pb.RUN_STATE_PUBLISHED})
    runs = scheduler.runs(hourly.name)
    assert {run.reason for run in runs} == {"backfilled by mei"}
    assert [run.task_id for run in runs] == hourly.ids(25)
    found = scheduler.schedules.GetSchedule(pb.GetScheduleRequest(name=hourly.name)).schedule
    assert found.run_count == 0


def test_newest_first(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly = Hourly(scheduler, valkey)
    hourly.ended(hourly.begin(10, order=pb.BACKFILL_ORDER_NEWEST_FIRST))
    eventually(lambda: len(hourly.sent()) == 10)
    assert hourly.sent_ids() == hourly.ids(10)[::-1]


def test_what_was_passed_over_is_taken_over_and_what_was_run_is_not_run_again(
    scheduler: Scheduler, valkey: Valkey, database_url: str
) -> None:
    hourly = Hourly(scheduler, valkey)
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
    eventually(lambda: scheduler.runs(hourly.name)[0].state == pb.RUN_STATE_PUBLISHED)
    assert scheduler.runs(hourly.name)[0].reason == "backfilled by mei"
    # All of it has run now.
    again = hourly.begin(6)
    assert (again.state, again.run_count) == (DONE, 0)
    assert not again.HasField("first_due_time")


def test_what_is_run_while_the_backfill_goes_on_is_passed_over(
    scheduler: Scheduler, valkey: Valkey, database_url: str
) -> None:
    hourly = Hourly(scheduler, valkey)
    begun = hourly.begin(4, rate=1)
    record(database_url, hourly, hourly.due(4)[3], "batched")
    ended = hourly.ended(begun)
    assert (ended.state, ended.sent_count, ended.passed_count) == (DONE, 3, 1)
    eventually(lambda: hourly.sent_ids() == hourly.ids(3))


def test_the_rate_is_kept_and_a_cancelled_backfill_sends_no_more(
    scheduler: Scheduler, valkey: Valkey
) -> None:
    hourly = Hourly(scheduler, valkey)
    paced = hourly.begin(6, rate=2)
    hourly.ended(paced)
    eventually(lambda: all(run.HasField("publish_time") for run in scheduler.runs(hourly.name)))
    times = [run.publish_time.ToDatetime() for run in scheduler.runs(hourly.name)]
    # Two and a half by the rate; a late step may make up for one.
    assert max(times) - min(times) > dt.timedelta(seconds=1)
    begun = hourly.begin(100, rate=2)
    assert begun.run_count == 94
    eventually(lambda: hourly.get(begun).sent_count > 0)
    ended = scheduler.schedules.CancelBackfill(pb.CancelBackfillRequest(name=begun.name)).backfill
    assert (ended.state, ended.note) == (CANCELLED, "cancelled by mei")
    assert 0 < ended.sent_count < 94
    eventually(lambda: len(hourly.sent()) == 6 + ended.sent_count)
    # The next of the schedule has its turn, and is sent beside nothing of the cancelled one.
    rest = hourly.begin(100)
    assert rest.run_count == 94 - ended.sent_count
    hourly.ended(rest)
    eventually(lambda: len(hourly.sent()) == 100)
    assert sorted(hourly.sent_ids()) == sorted(hourly.ids(100))
    again = scheduler.schedules.CancelBackfill(pb.CancelBackfillRequest(name=begun.name)).backfill
    assert again == hourly.get(begun) == ended
    answer = scheduler.schedules.ListBackfills(pb.ListBackfillsRequest(parent=hourly.name, page_size=2))
    assert [each.name for each in answer.backfills] == [rest.name, begun.name]
    rest_of_them = scheduler.schedules.ListBackfills(
        pb.ListBackfillsRequest(parent=hourly.name, page_size=2, page_token=answer.next_page_token)
    )
    assert [each.name for each in rest_of_them.backfills] == [paced.name]
    assert not rest_of_them.next_page_token
    everyones = scheduler.schedules.ListBackfills(pb.ListBackfillsRequest()).backfills
    assert everyones[0].name == rest.name


def test_pausing_and_deleting_a_schedule_end_its_backfill(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly = Hourly(scheduler, valkey)
    begun = hourly.begin(100, rate=0.5)
    scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=hourly.name))
    ended = hourly.get(begun)
    assert (ended.state, ended.note) == (CANCELLED, "the schedule was paused")
    code, message = refused(scheduler.schedules.BackfillSchedule, hourly.request(100))
    assert code is Code.FAILED_PRECONDITION and "is paused" in message
    scheduler.schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=hourly.name))
    begun = hourly.begin(100, rate=0.5)
    code, message = refused(scheduler.schedules.BackfillSchedule, hourly.request(100))
    assert code is Code.FAILED_PRECONDITION and begun.name in message
    scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=hourly.name))
    code, _ = refused(scheduler.schedules.GetBackfill, pb.GetBackfillRequest(name=begun.name))
    assert code is Code.NOT_FOUND
    code, _ = refused(scheduler.schedules.BackfillSchedule, hourly.request(100))
    assert code is Code.NOT_FOUND


def test_validate_only_tells_what_would_be_sent_and_sends_nothing(
    scheduler: Scheduler, valkey: Valkey
) -> None:
    hourly = Hourly(scheduler, valkey)
    told = hourly.begin(30, validate_only=True)
    assert (told.name, told.run_count, told.state) == ("", 30, pb.BACKFILL_STATE_UNSPECIFIED)
    assert told.last_due_time == stamp(hourly.first + 29 * HOUR)
    answer = scheduler.schedules.ListBackfills(pb.ListBackfillsRequest(parent=hourly.name))
    assert not answer.backfills
    assert not scheduler.runs(hourly.name)


def test_a_request_that_is_sent_again_is_the_same_backfill(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly = Hourly(scheduler, valkey)
    begun = hourly.begin(5, request_id="once")
    assert hourly.begin(5, request_id="once").name == begun.name
    hourly.ended(begun)
    assert hourly.begin(5, request_id="once") == hourly.get(begun)
    eventually(lambda: hourly.sent_ids() == hourly.ids(5))


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"name": "Schedules/x"}, ["name"]),
        ({"start_time": None}, ["start_time"]),
        ({"end_time": None}, ["end_time"]),
        ({"start_time": Timestamp(seconds=2**31)}, ["end_time"]),
        ({"start_time": Timestamp(seconds=1)}, ["start_time"]),
        ({"end_time": Timestamp(seconds=2**33)}, ["end_time"]),
        ({"max_runs": -1}, ["max_runs"]),
        ({"max_runs": 10_001}, ["max_runs"]),
        ({"max_runs": 9}, ["max_runs"]),
        ({"rate": 101}, ["rate"]),
        ({"rate": 0.001}, ["rate"]),
        ({"rate": float("nan")}, ["rate"]),
        ({"order": 7}, ["order"]),
        ({"request_id": "x" * 101, "rate": -1}, ["rate", "request_id"]),
    ],
)
def test_bad_input_names_the_fields(
    scheduler: Scheduler, valkey: Valkey, fields: dict[str, Any], at_fault: list[str]
) -> None:
    request = Hourly(scheduler, valkey).request(10, **fields)
    assert fields_at_fault(scheduler.schedules.BackfillSchedule, request) == at_fault


def test_other_names_and_tokens_are_refused(scheduler: Scheduler) -> None:
    calls = scheduler.schedules
    for name in ("schedules/a/backfills/b", "schedules/A/backfills/0123456789abcdef", ""):
        assert fields_at_fault(calls.GetBackfill, pb.GetBackfillRequest(name=name)) == ["name"]
        assert fields_at_fault(calls.CancelBackfill, pb.CancelBackfillRequest(name=name)) == ["name"]
    unknown = "schedules/a/backfills/0123456789abcdef"
    for call, request in (
        (calls.GetBackfill, pb.GetBackfillRequest(name=unknown)),
        (calls.CancelBackfill, pb.CancelBackfillRequest(name=unknown)),
    ):
        assert refused(call, request)[0] is Code.NOT_FOUND
    strange = pb.ListBackfillsRequest(page_token="nonsense", parent="schedules/a")
    assert fields_at_fault(calls.ListBackfills, strange) == ["page_token"]
    assert fields_at_fault(calls.ListBackfills, pb.ListBackfillsRequest(parent="a")) == ["parent"]


def test_each_is_sent_once_by_two_replicas_of_which_one_is_killed_again_and_again(
    scheduler: Scheduler, certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> None:
    hourly = Hourly(scheduler, valkey)
    with running_scheduler(certificates, tokens, database_url, valkey) as other:
        begun = hourly.begin(200, rate=20)
        for sent in (20, 60, 100):
            eventually(lambda sent=sent: hourly.get(begun).sent_count >= sent)
            other.process.kill()
            other.process.start()
        assert hourly.ended(begun).sent_count == 200
        eventually(lambda: {run.state for run in scheduler.runs(hourly.name)} == {pb.RUN_STATE_PUBLISHED})
    assert sorted(hourly.sent_ids()) == sorted(hourly.ids(200))


def test_a_backfill_goes_on_after_all_replicas_were_killed(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly = Hourly(scheduler, valkey)
    begun = hourly.begin(100, rate=20)
    eventually(lambda: hourly.get(begun).sent_count > 0)
    scheduler.process.kill()
    scheduler.process.start()
    eventually(lambda: reached(scheduler))
    assert hourly.ended(begun).sent_count == 100
    eventually(lambda: len(hourly.sent()) >= 100)
    assert sorted(hourly.sent_ids()) == sorted(hourly.ids(100))


def reached(scheduler: Scheduler) -> bool:
    try:
        scheduler.schedules.ListBackfills(pb.ListBackfillsRequest())
    except grpc.RpcError:
        return False
    return True


async def test_what_was_recorded_and_not_published_is_healed_and_has_not_expired(
    scheduler: Scheduler, database_url: str, valkey: Valkey
) -> None:
    """The process ends between commit and publish."""
    hourly = await asyncio.to_thread(Hourly, scheduler, valkey)
    await asyncio.to_thread(scheduler.process.stop)
    database = Database(database_url)
    try:
        async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
            delivery = Delivery(database, Publisher(client, 0), CollectorRegistry())
            await begun_by_hand(database_url, hourly, 3)

            async def dies(*_: Any) -> None:
                raise ConnectionError

            publish, delivery.publish = delivery.publish, dies  # type: ignore[method-assign, assignment]
            await Backfills(database, delivery).send_ready()
            assert hourly.sent() == []
            delivery.publish = publish  # type: ignore[method-assign]
            assert await delivery.heal(dt.timedelta(0)) == 1
            assert await delivery.heal(dt.timedelta(0)) == 0
            await Backfills(database, delivery).send_ready()
    finally:
        await database.close()
        await asyncio.to_thread(scheduler.process.start)
    assert hourly.sent_ids() == hourly.ids(3)
    for message in hourly.sent():
        assert dt.datetime.fromisoformat(message["headers"]["expires"]) > dt.datetime.now(dt.UTC)


async def begun_by_hand(url: str, hourly: Hourly, count: int) -> None:
    due = hourly.due(count)
    await execute(
        url,
        "INSERT INTO celery_schedule_backfills"
        " (id, schedule_id, start_at, end_at, newest_first, rate, actor, due_at, run_count)"
        " VALUES ($1, $2, $3, $4, false, 100, 'mei', $5, $6)",
        uuid.uuid4().hex[:16],
        hourly.id,
        due[0],
        due[-1] + HOUR,
        due,
        count,
    )


async def test_a_backfilled_run_is_kept_as_long_as_any_from_its_backfill_on(
    scheduler: Scheduler, database_url: str, valkey: Valkey
) -> None:
    hourly = await asyncio.to_thread(Hourly, scheduler, valkey)
    begun = await asyncio.to_thread(hourly.begin, 3)
    await asyncio.to_thread(hourly.ended, begun)
    await asyncio.to_thread(eventually, lambda: len(hourly.sent()) == 3)
    database = Database(database_url)
    try:
        async with database.transaction() as connection:
            await delete_old_runs(connection, HOUR, 1000)
        assert len(await asyncio.to_thread(scheduler.runs, hourly.name)) == 3
        aged = "UPDATE celery_schedule_runs SET recorded_at = recorded_at - interval '2 hours'"
        await execute(database_url, f"{aged} WHERE schedule_id = $1", hourly.id)
        async with database.transaction() as connection:
            assert await delete_old_runs(connection, HOUR, 1000) >= 3
        assert not await asyncio.to_thread(scheduler.runs, hourly.name)
    finally:
        await database.close()
