"""A replica records late what it pushed to a broker that lost its data: the loss is found just the same."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence

import pytest
import redis.asyncio

from services.kernel.broker_layout import Layout
from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.dispatch.store_batches import BatchStore
from services.scheduler.runs.broker_data import BrokerData
from services.scheduler.runs.losses import Losses
from services.scheduler.runs.monitor_client import Heard, Monitor
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.due_times import OnceTiming
from tests.support.dispatchers import delivery_to
from tests.support.servers import temporary_valkey


class NothingHeard(Monitor):
    """No worker has received anything."""

    def __init__(self) -> None:
        pass

    async def heard_of(self, task_ids: Sequence[str]) -> dict[str, Heard]:
        return {}


@pytest.fixture
async def client() -> AsyncIterator[redis.asyncio.Redis]:
    with temporary_valkey() as valkey:
        async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
            yield client


async def seen(database: Database) -> list[tuple[str, int]]:
    """Each run's state, and how often it was sent again."""
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT state, reason FROM celery_schedule_runs_seen")
    return [(row["state"], row["reason"].count("; sent again: ")) for row in rows]


@pytest.mark.parametrize("healed_first", [False, True])
async def test_what_was_pushed_before_a_loss_and_recorded_after_it_was_found_is_sent_again_once(
    database: Database, client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch, healed_first: bool
) -> None:
    """`healed_first`: another replica has found the batch unpublished, and published it to the new broker."""
    pushed, go_on = asyncio.Event(), asyncio.Event()
    at_once = BatchStore.published

    async def late(store: BatchStore, batch_ids: Sequence[int]) -> None:
        pushed.set()
        await go_on.wait()
        await at_once(store, batch_ids)

    now = dt.datetime.now(dt.UTC)
    once = Definition("s", Task("count", queue="q"), OnceTiming(now, "UTC"), resend_lost=True)
    async with database.transaction() as connection:
        await ScheduleStore(connection).create(once, now)
    losses = Losses(database, BrokerData(client, Layout()), NothingHeard())
    assert await losses.look() == 0
    delivery = delivery_to(client, database)
    dispatcher = Dispatcher(database, delivery)
    with monkeypatch.context() as frozen:
        frozen.setattr(BatchStore, "published", late)
        assert await dispatcher.dispatch_batch() == 1
        await pushed.wait()
    await client.flushall()
    assert await losses.look() == 0
    if healed_first:
        other = delivery_to(client, database)
        assert await other.heal(dt.timedelta(0)) == 1
    go_on.set()
    await delivery.drain()
    assert await losses.look() == (0 if healed_first else 1)
    await delivery.heal(dt.timedelta(0))
    assert await seen(database) == [("published", 0 if healed_first else 1)]
    assert await losses.look() == 0 and await client.llen("q") == 1
