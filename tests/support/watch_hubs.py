"""Everyone who watches, in the test's own process, and changes to watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.kernel.database import Database
from services.kernel.endings import end
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.pace import USUAL, Pace
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming
from services.scheduler.watch.changes import Event, LeftOut, RunEvents, ScheduleEvent
from services.scheduler.watch.cursor import Cursor
from services.scheduler.watch.hub import Tell, Watching

Told = tuple[Event | LeftOut | None, Cursor]
BUFFER = 50
BATCH = """
    WITH batch AS (INSERT INTO celery_schedule_batches DEFAULT VALUES RETURNING id)
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)
    SELECT CASE WHEN n % 10 = 0 THEN 'tenth' ELSE 'one' END, clock_timestamp() + n * interval '1 second',
        'batched', 'due', batch.id
    FROM batch, generate_series(1, $1::int) AS n RETURNING batch_id
"""
PUBLISH = "UPDATE celery_schedule_batches SET published_at = now() WHERE id = $1"


@asynccontextmanager
async def running(
    database: Database,
    buffer: int = BUFFER,
    tell: Tell[Told] = lambda event, cursor: (event, cursor),
    pace: Pace = USUAL,
) -> AsyncIterator[Watching[Told]]:
    watching = Watching[Told](database, tell, buffer=buffer, pace=pace)
    loop = asyncio.create_task(watching.loop.run())
    try:
        yield watching
    finally:
        await end([loop])


async def publish(connection: Any, size: int) -> None:
    batch_id = await connection.fetchval(BATCH, size)
    await connection.execute(PUBLISH, batch_id)


async def create(database: Database, *names: str) -> None:
    timing = CrontabTiming(parse_crontab("0 3 29 2 *"), "UTC")
    for name in names:
        async with database.transaction() as connection:
            await ScheduleStore(connection).create(Definition(name, Task("count"), timing), None)


async def read(stream: AsyncIterator[Told]) -> Told:
    async with asyncio.timeout(20):
        return await anext(stream)


async def read_until(stream: AsyncIterator[Told], schedule_id: str) -> list[Event | LeftOut]:
    """All that is told before a schedule of that name is."""
    told: list[Event | LeftOut] = []
    async with asyncio.timeout(20):
        async for event, _ in stream:
            if isinstance(event, ScheduleEvent) and event.id == schedule_id:
                break
            if event is not None:
                told.append(event)
    return told


def sizes(told: list[Event | LeftOut]) -> list[int]:
    return [len(event.runs) for event in told if isinstance(event, RunEvents)]
