"""Dispatchers within the test's own process, beside each other if need be."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio
from prometheus_client import CollectorRegistry

from services.kernel.celery_publisher import Publisher
from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.delivery import Delivery
from services.scheduler.dispatch.dispatcher import Dispatcher
from services.scheduler.pace import USUAL, Pace
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.due_times import IntervalTiming
from tests.support.servers import Valkey


def delivery_to(client: redis.asyncio.Redis, database: Database, pace: Pace = USUAL) -> Delivery:
    return Delivery(database, Publisher(client, 0), CollectorRegistry(), pace=pace)


@asynccontextmanager
async def dispatcher(database: Database, valkey: Valkey, pace: Pace = USUAL) -> AsyncIterator[Dispatcher]:
    """What it has under way at the end is given up."""
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        yield Dispatcher(database, delivery_to(client, database, pace), pace=pace)


async def due_schedules(database: Database, count: int, ago: float = 0.5, queue: str = "due") -> None:
    """Schedules of each hour, due a moment ago."""
    due = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)
    timing = IntervalTiming(dt.timedelta(hours=1), due - dt.timedelta(hours=5), "UTC")
    async with database.transaction() as connection:
        store = ScheduleStore(connection)
        for number in range(count):
            definition = Definition(f"s-{number}", Task("count", queue=queue), timing)
            await store.create(definition, due)


async def states(database: Database) -> Counter[str]:
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT state FROM celery_schedule_runs_seen")
        return Counter(row["state"] for row in rows)


async def sent(valkey: Valkey, queue: str = "due") -> list[str]:
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        messages: Any = await client.lrange(queue, 0, -1)
    return [json.loads(message)["headers"]["id"] for message in messages]
