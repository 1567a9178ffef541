"""Exactly once: dispatchers beside each other, killed, frozen, cut off from their broker."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from services.kernel.celery_publisher import MarkedBatch, Publisher, Receipt, SlotEnded
from services.kernel.database import Database
from services.scheduler.catalogue.store_listing import RunFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.store_due import CLAIM, SECONDS_TO_NEXT
from services.scheduler.pace import Pace
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.timing.due_times import IntervalTiming
from tests.support.calls import eventually
from tests.support.dispatchers import dispatcher, due_schedules, sent, states
from tests.support.servers import Valkey, temporary_valkey
from tests.support.statements import statements_of

NOW = dt.timedelta(0)
RUN = "schedules/s/runs/20261129T033000.000000Z"


async def test_each_due_time_is_published_once_by_two_dispatchers_side_by_side(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    await due_schedules(database, 300)
    async with dispatcher(database, valkey) as one, dispatcher(database, valkey) as two:

        async def work(each: Dispatcher) -> None:
            while await each.dispatch_batch():
                pass
            await each.delivery.drain()

        await asyncio.gather(work(one), work(two), two.delivery.heal(NOW))
        await one.delivery.heal(NOW)
    identities = await sent(valkey)
    assert len(identities) == len(set(identities)) == 300
    assert await states(database) == {"published": 300}


async def test_what_was_committed_and_not_published_is_published_by_another(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    await due_schedules(database, 5)
    async with dispatcher(database, valkey) as one, dispatcher(database, valkey) as two:

        async def dies(*_: Any) -> None:
            raise asyncio.CancelledError

        # The process ends between commit and publish.
        one.delivery.publish = dies  # type: ignore[method-assign, assignment]
        await one.dispatch_batch()
        await one.delivery.drain()
        assert await sent(valkey) == []
        assert await states(database) == {"pending": 5}
        assert await two.delivery.heal(NOW) == 1
    assert len(await sent(valkey)) == 5
    assert await states(database) == {"published": 5}


async def test_what_was_published_and_not_recorded_is_not_published_again(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    await due_schedules(database, 5)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
        async with database.transaction() as connection:
            await connection.execute("UPDATE celery_schedule_batches SET published_at = NULL")
        assert await one.delivery.heal(NOW) == 1
    assert len(await sent(valkey)) == 5
    assert await states(database) == {"published": 5}


async def test_a_dispatcher_that_was_frozen_for_a_minute_cannot_publish(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        now, publisher = dt.datetime.now(dt.UTC), Publisher(client, 0)
        message = MessageTemplate(Task("count", queue="due")).message("id-1", now, now, RUN)
        with pytest.raises(SlotEnded):
            await publisher.publish(MarkedBatch("1-1", [message]), await publisher.slot() - 62)
    assert await sent(valkey) == []


async def test_runs_wait_for_a_broker_that_is_away_and_none_is_lost_or_doubled(
    database: Database,
) -> None:
    with temporary_valkey() as valkey:
        await due_schedules(database, 10)
        async with dispatcher(database, valkey) as one:
            valkey.stop()
            await one.dispatch_batch()
            await one.delivery.drain()
            assert await states(database) == {"pending": 10}
            valkey.start()
            assert await one.delivery.heal(NOW) == 1
        identities = await sent(valkey)
        assert len(identities) == len(set(identities)) == 10
        assert await states(database) == {"published": 10}


async def test_what_was_missed_for_long_is_made_up_for_once_and_said_so(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    moment = dt.datetime.now(dt.UTC)
    minute = IntervalTiming(dt.timedelta(minutes=1), moment - dt.timedelta(hours=9), "UTC")
    day = IntervalTiming(dt.timedelta(days=1), moment - dt.timedelta(hours=27), "UTC")
    async with database.transaction() as connection:
        store = ScheduleStore(connection)
        await store.create(
            Definition("minute", Task("count", queue="due"), minute), moment - dt.timedelta(hours=3)
        )
        await store.create(Definition("day", Task("count", queue="due"), day), moment - dt.timedelta(hours=3))
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
        assert await one.dispatch_batch() == 0
    async with database.reading() as connection:
        store = ScheduleStore(connection)
        by_minute = await store.list_runs(RunFilter("minute"), None, 10)
        by_day = await store.list_runs(RunFilter("day"), None, 10)
        following = [(await store.get(name)).next_due_at for name in ("minute", "day")]
    assert [run.state.value for run in by_minute] == ["published", "skipped"]
    assert "makes up for all that was missed" in by_minute[0].reason
    assert [run.state.value for run in by_day] == ["skipped"]
    assert "more than 1:00:00" in by_day[0].reason
    assert all(moment < due for due in following if due)
    assert len(await sent(valkey)) == 1


async def test_a_change_by_plain_sql_wakes_the_dispatcher(database: Database, valkey: Valkey) -> None:
    valkey.flush()
    async with dispatcher(database, valkey) as one:
        running = asyncio.create_task(one.run())
        await due_schedules(database, 1, ago=-3600)
        async with database.transaction() as connection:
            await connection.execute("UPDATE celery_schedules SET next_run_at = now()")
        # Less than the safety tick.
        async with asyncio.timeout(4):
            while not await sent(valkey):  # noqa: ASYNC110 # the broker tells nobody
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


BROKEN = {
    "crontab": "crontab = 'each morning', interval_seconds = NULL, anchor = NULL",
    "zone": "crontab = '* * * * *', interval_seconds = NULL, anchor = NULL, time_zone = 'Asia/Atlantis'",
    "zone's folder": "crontab = '* * * * *', interval_seconds = NULL, anchor = NULL, time_zone = 'America'",
    "zone of an interval": "time_zone = 'Asia/Atlantis'",
    "interval": "interval_seconds = 0",
    "negative interval": "interval_seconds = -60",
    "interval beyond all time": "interval_seconds = 1e300",
    "interval's anchor": "anchor = 'infinity'",
    "place": "interval_seconds = NULL, anchor = NULL,"
    " solar_event = 'sunset', latitude = 'NaN', longitude = 1",
    "bounds": "end_at = 'infinity'",
    "jitter": "jitter_seconds = 'infinity'",
    "window": "misfire_window_seconds = 'NaN', jitter_seconds = 1",
    "time to expire": "expires = 'NaN'",
    "time limit": "time_limit = 'infinity'",
    "arguments": "args_json = '[1, '",
    "arguments' kind": "kwargs_json = '[]'",
    "arguments' depth": f"args_json = '{'[' * 1000}{']' * 1000}'",
    "headers": "headers = '[1]'",
    "headers' kind": "headers = '{\"n\": 1}'",
    "headers' depth": f"headers = '{'[' * 2000}{']' * 2000}'",
    "moment": "next_run_at = '-infinity'",
    "due time": "next_due_at = 'infinity'",
    "number of digits": f"crontab = '*/{'1' * 5000} * * * *', interval_seconds = NULL, anchor = NULL",
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
async def test_a_row_that_someone_broke_by_sql_is_passed_over_and_the_others_run(
    database: Database, valkey: Valkey, change: str
) -> None:
    valkey.flush()
    await due_schedules(database, 3)
    async with database.transaction() as connection:
        await connection.execute(f"UPDATE celery_schedules SET {change} WHERE id = 's-1'")
    async with dispatcher(database, valkey) as one:
        assert await one.dispatch_batch() == 3
        await one.delivery.drain()
        assert await one.dispatch_batch() == 0
    assert len(await sent(valkey)) == 2
    async with database.reading() as connection:
        [run] = await ScheduleStore(connection).list_runs(RunFilter("s-1"), None, 10)
    assert run.state.value == "skipped"
    assert "can't be read" in run.reason


async def test_a_pending_run_whose_row_was_broken_since_does_not_hold_up_healing(
    database: Database, valkey: Valkey
) -> None:
    await due_schedules(database, 3)
    with temporary_valkey() as away:
        away.stop()
        async with dispatcher(database, away) as one:
            await one.dispatch_batch()
            await one.delivery.drain()
    valkey.flush()
    async with database.transaction() as connection:
        await connection.execute("UPDATE celery_schedules SET args_json = '[1, ' WHERE id = 's-1'")
    async with dispatcher(database, valkey) as two:
        assert await two.delivery.heal(NOW) == 1
        assert await two.delivery.heal(NOW) == 0
    assert len(await sent(valkey)) == 2
    assert await states(database) == {"published": 2, "skipped": 1}


async def test_monitors_are_told_of_what_was_sent_and_of_nothing_else(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    now = dt.datetime.now(dt.UTC)
    template = MessageTemplate(Task("count", '["%", "字"]', queue="due", expires=60))
    messages = [template.message(f"id-{number}", now, now, RUN) for number in range(3)]
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        publisher = Publisher(client, 0)
        slot = await publisher.slot()
        assert await publisher.publish(MarkedBatch("1-1", messages[:1]), slot) == Receipt(before=False)
        async with client.pubsub() as events:
            await events.subscribe("/0.celeryev/task.multi")
            await events.get_message(timeout=5)
            assert await publisher.publish(MarkedBatch("1-1", messages[:1]), slot) == Receipt(before=True)
            assert await publisher.publish(MarkedBatch("2-1", messages[1:]), slot) == Receipt(before=False)
            told: Any = await events.get_message(ignore_subscribe_messages=True, timeout=5)
        bound = await client.smembers("_kombu.binding.due")
    body = json.loads(base64.b64decode(json.loads(told["data"])["body"]))
    assert [event["uuid"] for event in body] == ["id-1", "id-2"]
    assert body[0]["args"] == "('%', '字')"
    assert bound == {b"due\x06\x16\x06\x16due"}


async def test_a_batch_of_many_lists_and_of_more_messages_than_a_lua_call_takes_goes_out_whole(
    valkey: Valkey,
) -> None:
    valkey.flush()
    now = dt.datetime.now(dt.UTC)
    templates = [
        MessageTemplate(Task("count", queue=f"due-{number}", priority=number)) for number in range(4)
    ]
    messages = [templates[number % 4].message(f"id-{number}", now, now, RUN) for number in range(40_000)]
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        publisher = Publisher(client, 0)
        assert await publisher.publish(MarkedBatch("1-1", messages), await publisher.slot()) == Receipt(False)
        keys = ["due-0", "due-1", "due-2", "due-3\x06\x163"]
        lengths: Any = [await client.llen(key) for key in keys]
        assert lengths == [10_000] * 4
        # Workers take from the tail: what came first goes first.
        first: Any = await client.lindex("due-0", -1)
    assert json.loads(first)["headers"]["id"] == "id-0"


async def test_runs_go_with_their_schedule(database: Database, valkey: Valkey) -> None:
    valkey.flush()
    await due_schedules(database, 3)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM celery_schedules WHERE id <> 's-2'")
    assert await states(database) == {"published": 1}


async def test_a_due_time_that_was_run_is_not_run_again_when_it_is_set_back(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    await due_schedules(database, 3)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
        valkey.flush()  # without the marks, the database alone must know
        async with database.transaction() as connection:
            await connection.execute(
                "UPDATE celery_schedules SET next_run_at = last_run_at WHERE id <> 's-0'"
            )
        assert await one.dispatch_batch() == 2
        await one.delivery.drain()
    assert await sent(valkey) == []
    assert await states(database) == {"published": 3}


WORKER = """
import sys
from celery import Celery
app = Celery("plain", broker=sys.argv[1], backend=sys.argv[1])
app.conf.update(accept_content=["json"], worker_hijack_root_logger=False)

@app.task(name="add")
def add(x, y, scale=1):
    return (x + y) * scale

app.worker_main(["worker", "-Q", "sums", "-c", "1", "-P", "solo", "--loglevel=ERROR"])
"""


async def test_a_plain_celery_worker_runs_what_is_dispatched(
    database: Database, valkey: Valkey, tmp_path: Path
) -> None:
    valkey.flush()
    moment = dt.datetime.now(dt.UTC)
    timing = IntervalTiming(dt.timedelta(hours=1), moment - dt.timedelta(hours=2), "UTC")
    task = Task("add", "[2, 3]", '{"scale": 10}', "sums", priority=3, expires=600, time_limit=30)
    async with database.transaction() as connection:
        await ScheduleStore(connection).create(Definition("sum", task, timing), moment)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
    async with database.reading() as connection:
        [run] = await ScheduleStore(connection).list_runs(RunFilter("sum"), None, 10)
    script = tmp_path / "plain.py"
    script.write_text(WORKER)
    url = f"redis://{valkey.host}:{valkey.port}/0"
    worker = subprocess.Popen([sys.executable, script, url], cwd=tmp_path)  # noqa: ASYNC220
    try:
        with redis.Redis(valkey.host, valkey.port) as client:
            key = f"celery-task-meta-{run.task_id}"
            stored: Any = await asyncio.to_thread(eventually, lambda: client.get(key), 60)
    finally:
        worker.terminate()
        worker.wait()
    result = json.loads(stored)
    assert (result["status"], result["result"]) == ("SUCCESS", 50)


async def test_an_idle_dispatcher_asks_when_something_is_due_and_claims_nothing(
    database_url: str, database: Database, valkey: Valkey
) -> None:
    """Each look is one statement: with the claim it was five, every few seconds, all day."""
    valkey.flush()
    alone = Database(database_url, pool_size=1)
    statements = await statements_of(alone)
    async with dispatcher(alone, valkey, Pace(dispatch_look=0.02)) as idle:
        running = asyncio.create_task(idle.run())

        async def looks(count: int) -> None:
            while statements.count(SECONDS_TO_NEXT) < count:  # noqa: ASYNC110  the server tells nobody
                await asyncio.sleep(0.01)

        async with asyncio.timeout(30):
            await looks(10)
            # Those of the start, and of the notice that it listens.
            assert statements.count(CLAIM) <= 2
            await due_schedules(database, 3)
            while len(await sent(valkey)) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    await alone.close()
