"""The client's `catch_up` on a real scheduler: what is too much at once is read from the log."""

from __future__ import annotations

import functools
import uuid
from typing import Any

import asyncpg
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import driver_url
from tests.support.schedulers import Scheduler
from tests.support.schedules import CRONTAB, create
from tests.support.watch_clients import WAYS, Reading, Watch, target_of, until

BATCHES, SIZE = 25, 1000
# Runs that were published together, as a dispatcher that drains a backlog has them.
RECORDED = """
    WITH batch AS (INSERT INTO celery_schedule_batches DEFAULT VALUES RETURNING id)
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)
    SELECT $1, clock_timestamp() - n * interval '1 second', 'batched', 'due', batch.id
    FROM batch, generate_series(1, $2::int) AS n RETURNING batch_id
"""
PUBLISHED = "UPDATE celery_schedule_batches SET published_at = now() WHERE id = $1"


async def publish_much(url: str, name: str) -> None:
    connection = await asyncpg.connect(driver_url(url))
    async with connection.transaction():
        for _ in range(BATCHES):
            batch_id = await connection.fetchval(RECORDED, name.removeprefix("schedules/"), SIZE)
            await connection.execute(PUBLISHED, batch_id)
    await connection.close()


def told(reading: Reading) -> set[int]:
    """The due times of the runs."""
    return {run.due_time.ToNanoseconds() for message in list(reading.seen) for run in message.runs.runs}


def is_told(reading: Reading, run: pb.Run) -> bool:
    return run.due_time.ToNanoseconds() in told(reading)


def left_out(reading: Reading) -> int:
    return sum(message.left_out_count for message in reading.seen)


@pytest.mark.parametrize("watch", WAYS)
async def test_who_catches_up_is_told_all_of_what_others_are_told_was_left_out(
    lone_scheduler: Scheduler, watch: Watch, database_url: str
) -> None:
    scheduler, target = lone_scheduler, target_of(lone_scheduler)
    name = f"schedules/u-{uuid.uuid4().hex[:8]}"
    task = pb.TaskSpec(task_name="count", queue="queues/nobody")
    await until(lambda: create(scheduler.schedules, pb.Schedule(name=name, task=task, timing=CRONTAB)))
    wanted: dict[str, Any] = {"without_schedules": True}
    async with watch(target, catch_up=True, **wanted) as whole, watch(target, **wanted) as part:
        await until(lambda: whole.seen and part.seen)
        await publish_much(database_url, name)
        await until(lambda: len(told(part)) + left_out(part) == BATCHES * SIZE)
        assert left_out(part) > 0
        await until(lambda: len(told(whole)) == BATCHES * SIZE)
        # Both have come back to the present.
        trigger = pb.TriggerScheduleRequest(name=name)
        run = (await until(lambda: scheduler.schedules.TriggerSchedule(trigger))).run
        for reading in (whole, part):
            await until(functools.partial(is_told, reading, run))
        assert left_out(whole) == 0
        assert whole.error is part.error is None
