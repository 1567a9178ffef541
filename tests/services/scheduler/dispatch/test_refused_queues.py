"""Queues whose keys on the broker hold no list: their runs are passed over, and all others are sent."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from services.kernel.database import Database
from services.kernel.once import Once
from services.scheduler.catalogue.catalogue import Catalogue
from services.scheduler.catalogue.store_listing import RunFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.delivery import Delivery
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.store_batches import BatchStore
from services.scheduler.schedule.definition import Definition, RunState, Task, task_id
from services.scheduler.timing.due_times import OnceTiming
from tests.support.dispatchers import delivery_to
from tests.support.servers import Valkey

NOW = dt.timedelta(0)
# Two of the four go to keys that hold no list.
QUEUES = {"s-0": "due", "s-1": "wrong", "s-2": "due", "s-3": "wrong too"}
MOVED = "UPDATE celery_schedules SET queue = CASE queue WHEN 'due' THEN 'wrong' ELSE 'due' END"
DELETED = "DELETE FROM celery_schedules WHERE id = 's-3'"


@pytest.fixture
async def database(database: Database) -> Database:
    async with database.transaction() as connection:
        due = await ScheduleStore(connection).now()
        for name, queue in QUEUES.items():
            definition = Definition(name, Task("count", queue=queue), OnceTiming(due, "UTC"))
            await ScheduleStore(connection).create(definition, due)
    return database


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[redis.asyncio.Redis]:
    valkey.flush()
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        await client.hset("wrong", "a", "b")
        await client.hset("wrong too", "a", "b")
        yield client


async def dispatch(database: Database, delivery: Delivery) -> None:
    await Dispatcher(database, delivery).dispatch_batch()
    await delivery.drain()


async def runs(database: Database) -> dict[str, tuple[str, str]]:
    """State and reason of each schedule's run."""
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT schedule_id, state, reason FROM celery_schedule_runs_seen")
    return {row["schedule_id"]: (row["state"], row["reason"]) for row in rows}


def refused(key: str) -> tuple[str, str]:
    return "skipped", f"not sent: the broker's key '{key}' is no list, so it can't be a queue"


async def sent(client: redis.asyncio.Redis) -> set[str]:
    messages: Any = await client.lrange("due", 0, -1)
    return {json.loads(message)["headers"]["id"] for message in messages}


async def task_ids(database: Database, *schedules: str) -> set[str]:
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT schedule_id, due_at, task_namespace FROM celery_schedule_runs")
    return {task_id(*row) for row in rows if row["schedule_id"] in schedules}


async def test_a_queue_whose_key_holds_something_else_holds_up_no_other(
    database: Database, client: redis.asyncio.Redis
) -> None:
    delivery = delivery_to(client, database)
    await dispatch(database, delivery)
    assert await delivery.heal(NOW) == 0
    assert await sent(client) == await task_ids(database, "s-0", "s-2")
    assert await runs(database) == {
        "s-0": ("published", "due"),
        "s-1": refused("wrong"),
        "s-2": ("published", "due"),
        "s-3": refused("wrong too"),
    }
    async with database.reading() as connection:
        [run] = await ScheduleStore(connection).list_runs(RunFilter("s-1"), None, 10)
    # It never was on a queue.
    assert run.published_at is None
    [counted] = delivery.metrics.runs.collect()
    totals = {each.labels["state"]: each.value for each in counted.samples if each.name.endswith("_total")}
    assert totals == {"published": 2, "skipped": 2}


@pytest.mark.parametrize("meanwhile", ["", MOVED, DELETED], ids=["as it was", "moved", "deleted"])
async def test_a_refusal_is_known_to_who_heals_when_its_process_died_before_it_was_recorded(
    database: Database, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    async def dies(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        for write in ("give_up", "published"):
            dying.setattr(BatchStore, write, dies)
        await dispatch(database, delivery_to(client, database))
    expected_sent = await task_ids(database, "s-0", "s-2")
    assert {state for state, _ in (await runs(database)).values()} == {"pending"}
    await client.delete("wrong", "wrong too")
    if meanwhile:
        async with database.transaction() as connection:
            await connection.execute(meanwhile)
    assert await delivery_to(client, database).heal(NOW) == 1
    # As the broker took them and refused them, whatever their schedules and its keys are now.
    expected = {
        "s-0": ("published", "due"),
        "s-1": refused("wrong"),
        "s-2": ("published", "due"),
        "s-3": refused("wrong too"),
    }
    if meanwhile == DELETED:
        del expected["s-3"]
    assert await runs(database) == expected
    assert await sent(client) == expected_sent
    assert await client.exists("wrong", "wrong too") == 0


async def test_who_triggers_a_run_is_told_that_it_was_refused(
    database: Database, client: redis.asyncio.Redis
) -> None:
    catalogue = Catalogue(database, delivery_to(client, database))
    wrong, right = (Once(f"TriggerSchedule of schedules/s-{number}", "once", b"") for number in (1, 0))
    run = await catalogue.trigger("s-1", "mei", wrong)
    assert (run.state, run.reason) == (RunState.SKIPPED, refused("wrong")[1])
    assert await catalogue.trigger("s-1", "mei", wrong) == run
    assert (await catalogue.trigger("s-0", "mei", right)).state is RunState.PUBLISHED
