"""Runs that wait: those whose turn has come go, however many wait beside them, and whoever else decides."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import redis.asyncio

from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.runs.monitor_client import MOST_AT_ONCE, Heard, Monitor
from services.scheduler.runs.overlap import LiveRun
from services.scheduler.runs.store_waiting import WaitingStore
from services.scheduler.runs.waiting import BATCH, Waiting
from services.scheduler.schedule.definition import Definition, Overlap, Task, task_id
from services.scheduler.timing.due_times import IntervalTiming
from tests.support.dispatchers import delivery_to
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
    """Tasks were started a moment ago, and go on; some have ended. Tells so to all that ask, once they do."""

    def __init__(self, ended: set[str], askers: int = 1) -> None:
        self._ended = ended
        self._asked = asyncio.Barrier(askers)

    async def heard_of(self, task_ids: Sequence[str]) -> dict[str, Heard]:
        assert len(task_ids) <= MOST_AT_ONCE
        await self._asked.wait()
        states = {task: "SUCCESS" if task in self._ended else "STARTED" for task in task_ids}
        return {task: Heard(task, state, "w", None, None, NOW, NOW) for task, state in states.items()}


async def recorded(database: Database, names: Sequence[str], overlap: Overlap = Overlap.QUEUE) -> None:
    """Schedules with a run that goes, and one that waits for it, in one transaction."""
    timing = IntervalTiming(dt.timedelta(hours=1), EARLIER, "UTC")
    async with database.transaction() as connection:
        for name in names:
            definition = Definition(name, Task("count", queue="q"), timing, overlap=overlap)
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
    monitor = AllGoingBut({task_id(name, EARLIER, None) for name in may_go})
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        delivery = delivery_to(client, database)
        waiting = Waiting(database, monitor, delivery, asyncio.Event())
        assert await waiting.decide() == len(names)
        assert await waiting.decide() == len(names) - len(may_go)
    async with database.reading() as connection:
        query = "SELECT schedule_id, state FROM celery_schedule_runs_seen WHERE due_at = $1"
        states = dict(await connection.fetch(query, NOW))
    assert {name for name, state in states.items() if state == "published"} == may_go
    assert Counter(states.values()) == {"published": len(may_go), "waiting": len(names) - len(may_go)}


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE, Overlap.CANCEL])
async def test_two_replicas_that_decide_at_one_time_send_it_once(
    database: Database, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, overlap: Overlap
) -> None:
    valkey.flush()
    await recorded(database, ["s"], overlap)
    monitor = AllGoingBut({task_id("s", EARLIER, None)}, askers=2)
    read = WaitingStore.live

    async def slowly(store: WaitingStore, schedule_ids: Sequence[str]) -> dict[str, list[LiveRun]]:
        found = await read(store, schedule_ids)
        # Long enough for the other to read the same, if nothing keeps it from that.
        await asyncio.sleep(0.2)
        return found

    monkeypatch.setattr(WaitingStore, "live", slowly)
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        delivery = delivery_to(client, database)
        replicas = [Waiting(database, monitor, delivery, asyncio.Event()) for _ in range(2)]
        assert await asyncio.gather(*(replica.decide() for replica in replicas)) == [1, 1]
        sent: Any = await client.llen("q")
    assert sent == 1
