"""WatchSchedules while much is dispatched: every run is told, and once."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter

import asyncpg
import redis
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import driver_url
from tests.support.calls import eventually
from tests.support.runs import task_id_of
from tests.support.schedulers import Scheduler
from tests.support.schedules import HOUR, at, create
from tests.support.servers import Valkey
from tests.support.watchers import Watcher, watching

COUNT = 5000
QUEUE = "told"
# Due at one moment, for every replica: when this is committed. Every other has the label.
DUE_NOW = """
    INSERT INTO celery_schedules SELECT (jsonb_populate_record(s, jsonb_build_object(
        'id', 'd-' || n, 'next_run_at', $1::timestamptz,
        'labels', CASE WHEN n % 2 = 0 THEN '{"half": "even"}' ELSE '{}' END::jsonb))).*
    FROM celery_schedules s, generate_series(1, $2::int) AS n WHERE s.id = 'd'
"""


def published(watcher: Watcher) -> Counter[str]:
    """How often each run was told as published, by its task's id."""
    runs = [run for message in list(watcher.seen) for run in message.runs.runs]
    return Counter(task_id_of(run) for run in runs if run.state == pb.RUN_STATE_PUBLISHED)


def test_each_of_thousands_of_runs_that_are_due_at_one_moment_is_told_once(
    lone_scheduler: Scheduler, other: Scheduler, database_url: str, valkey: Valkey
) -> None:
    due = dt.datetime.now(dt.UTC).replace(microsecond=0)
    hourly = pb.Timing(interval=pb.Interval(every={"seconds": 3600}, anchor=at(due - 5 * HOUR)))
    task = pb.TaskSpec(task_name="count", queue=f"queues/{QUEUE}")
    create(lone_scheduler.schedules, pb.Schedule(name="schedules/d", task=task, timing=hourly))

    async def make_due() -> None:
        connection = await asyncpg.connect(driver_url(database_url))
        await connection.execute(DUE_NOW, due, COUNT)
        await connection.close()

    with (
        watching(lone_scheduler, without_schedules=True) as watcher,
        watching(other, without_schedules=True) as elsewhere,
        watching(other, labels=["half=even"]) as half,
    ):
        asyncio.run(make_due())
        for each, count in ((watcher, COUNT), (elsewhere, COUNT), (half, COUNT // 2)):
            eventually(lambda each=each, count=count: len(published(each)) >= count, 120)
        # What comes after all of it: nothing else is on its way.
        for name in ("schedules/d", "schedules/d-2"):
            lone_scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))
        eventually(lambda: len(published(watcher)) == len(published(elsewhere)) == COUNT + 2)
        eventually(lambda: len(published(half)) == COUNT // 2 + 1)
    with redis.Redis(valkey.host, valkey.port) as client:
        sent = Counter(json.loads(message)["headers"]["id"] for message in client.lrange(QUEUE, 0, -1))
    assert set(sent.values()) == {1}
    assert published(watcher) == published(elsewhere) == sent
    assert set(published(half).values()) == {1}
    for each in (watcher, elsewhere, half):
        assert not any(message.left_out_count for message in each.seen)
