"""However many runs wait for others that go on for long: those whose turn has come are not behind them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
import redis.asyncio
from prometheus_client import CollectorRegistry

from services.kernel.database import Database
from services.kernel.migrations import migrate
from services.scheduler.delivery import Delivery
from services.scheduler.monitor import MOST_AT_ONCE, Heard, Monitor
from services.scheduler.publisher import Publisher
from services.scheduler.schedules import Definition, Overlap, Task, task_id
from services.scheduler.store import ScheduleStore
from services.scheduler.timing import IntervalTiming
from services.scheduler.waiting import BATCH, Waiting
from tests.support.servers import Valkey

# Of one moment, as one transaction records them; and more at another.
TOGETHER, LATER = 2 * BATCH + 50, 30
NOW = dt.datetime.now(dt.UTC)
EARLIER = NOW - dt.timedelta(minutes=1)
RECORD = """
    WITH batch AS (INSERT INTO celery_schedule_batches (published_at) VALUES (now()) RETURNING id),
    going AS (
        INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, exclusive, batch_id)
        SELECT schedule_id, $2, 'batched', 'due', true, id FROM unnest($1::text[]) AS schedule_id, batch
    )
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, exclusive)
    SELECT schedule_id, $3, 'waiting', 'due', true FROM unnest($1::text[]) AS schedule_id
"""


class AllGoingBut(Monitor):
    """Tasks were started a moment ago, and go on; some have ended."""

    def __init__(self, ended: set[str]) -> None:
        self._ended = ended

    async def heard_of(self, task_ids: Sequence[str]) -> dict[str, Heard]:
        assert len(task_ids) <= MOST_AT_ONCE
        states = {task: "SUCCESS" if task in self._ended else "STARTED" for task in task_ids}
        return {task: Heard(task, state, "w", None, None, NOW, NOW) for task, state in states.items()}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await migrate(database_url, "scheduler")
    database = Database(database_url)
    yield database
    await database.close()


async def recorded(database: Database, names: Sequence[str]) -> None:
    """Schedules with a run that goes, and one that waits for it, in one transaction."""
    timing = IntervalTiming(dt.timedelta(hours=1), EARLIER, "UTC")
    async with database.transaction() as connection:
        for name in names:
            definition = Definition(name, Task("count", queue="q"), timing, overlap=Overlap.QUEUE)
            await ScheduleStore(connection).create(definition, NOW + dt.timedelta(hours=1))
        await connection.execute(RECORD, names, EARLIER, NOW)


async def test_what_may_go_is_found_behind_hundreds_that_go_on_waiting(
    database: Database, valkey: Valkey
) -> None:
    valkey.flush()
    names = [f"s-{number:04}" for number in range(TOGETHER + LATER)]
    await recorded(database, names[:TOGETHER])
    await recorded(database, names[TOGETHER:])
    may_go = {names[0], names[BATCH + 1], names[TOGETHER - 1], names[-1]}
    monitor = AllGoingBut({task_id(name, EARLIER) for name in may_go})
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        delivery = Delivery(database, Publisher(client, 0), CollectorRegistry())
        waiting = Waiting(database, monitor, delivery, asyncio.Event())
        assert await waiting.decide() == len(names)
        assert await waiting.decide() == len(names) - len(may_go)
    async with database.reading() as connection:
        query = "SELECT schedule_id, state FROM celery_schedule_runs_seen WHERE due_at = $1"
        states = dict(await connection.fetch(query, NOW))
    assert {name for name, state in states.items() if state == "published"} == may_go
    assert Counter(states.values()) == {"published": len(may_go), "waiting": len(names) - len(may_go)}
