"""A task id stands for one run, also if another schedule of the same name has a run at the same due time."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import Database
from services.kernel.migrations import migrate
from services.scheduler.runs.store_outcomes import Band, OutcomeStore
from services.scheduler.schedule.rows import run_of
from tests.support.backfills import Hourly
from tests.support.calls import eventually
from tests.support.celery_workers import Worker
from tests.support.dispatchers import dispatcher, sent
from tests.support.schedulers import Scheduler
from tests.support.schedules import CRONTAB, MINUTE, SECOND, at, create, schedule_of
from tests.support.servers import Valkey, create_database
from tests.support.sql import fetch, fetch_sync

# The namespace of all task ids before schedules had their own, as it was documented.
COMMON = uuid.UUID("5e1e71ac-0000-5000-8000-ce1e71ac0000")
OLD_SCHEDULE = """
    INSERT INTO celery_schedules (id, task, args_json, kwargs_json, queue, priority, headers,
        interval_seconds, anchor, time_zone, description, labels, paused, pause_note, next_run_at)
    VALUES ($1, 'count', '[]', '{}', 'due', 0, '{}', 3600, $2, 'UTC', '', '{}', false, '', $3)
"""
OLD_RUN = """
    WITH batch AS (
        INSERT INTO celery_schedule_batches (recorded_at) VALUES (now() - interval '1 minute') RETURNING id)
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)
    SELECT $1, $2, 'batched', 'due', id FROM batch
"""


def backfilled(scheduler: Scheduler, name: str, due: dt.datetime) -> pb.Run:
    """Sends the due time by a backfill, and returns its run once its outcome is known."""
    request = pb.BackfillScheduleRequest(name=name, rate=100, start_time=at(due), end_time=at(due + MINUTE))
    scheduler.schedules.BackfillSchedule(request)

    def ended() -> pb.Run | None:
        found = [run for run in scheduler.runs(name) if run.due_time == at(due)]
        return found[0] if found and found[0].outcome else None

    run: pb.Run = eventually(ended, 40)
    return run


def test_a_run_gets_its_own_outcome_and_not_that_of_a_schedule_that_was_deleted(
    scheduler: Scheduler, worker: Worker
) -> None:
    due = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
    wanted = schedule_of(CRONTAB)
    wanted.task.CopyFrom(pb.TaskSpec(task_name="fail", args_json='["at first"]', queue="queues/runs"))
    create(scheduler.schedules, wanted)
    first = backfilled(scheduler, wanted.name, due)
    assert first.outcome == pb.RUN_OUTCOME_FAILED
    scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=wanted.name))
    wanted.task.task_name, wanted.task.args_json = "sleep", "[0]"
    create(scheduler.schedules, wanted)
    second = backfilled(scheduler, wanted.name, due)
    assert second.name == first.name
    assert second.task != first.task
    assert second.outcome == pb.RUN_OUTCOME_SUCCEEDED


def test_the_due_times_of_a_schedule_and_of_its_successor_are_sent_under_other_ids(
    lone_scheduler: Scheduler, valkey: Valkey, database_url: str
) -> None:
    hourly = Hourly(lone_scheduler, valkey)
    schedule = lone_scheduler.schedules.GetSchedule(pb.GetScheduleRequest(name=hourly.name)).schedule
    due = dt.datetime.now(dt.UTC).replace(microsecond=0)
    sent = list[str]()
    for _ in range(2):
        # As if its time had come, so that the dispatcher sends it.
        move = "UPDATE celery_schedules SET next_run_at = $2, next_due_at = NULL WHERE id = $1"
        fetch_sync(database_url, move, hourly.id, due)
        run = eventually(lambda: next((run for run in hourly.runs() if run.publish_time.seconds), None))
        assert run.due_time == at(due)
        sent.append(run.task.removeprefix("tasks/"))
        lone_scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=hourly.name))
        create(lone_scheduler.schedules, schedule)
    assert hourly.sent_ids() == sent
    assert len(set(sent)) == 2


def test_a_due_time_that_is_backfilled_once_more_when_its_run_is_forgotten_gets_another_id(
    hourly: Hourly, database_url: str
) -> None:
    hourly.ended(hourly.begin(2))
    # As the retention of runs does, which may be shorter than that of tasks.
    fetch_sync(database_url, "DELETE FROM celery_schedule_runs WHERE schedule_id = $1", hourly.id)
    hourly.ended(hourly.begin(2))
    eventually(lambda: len(hourly.sent()) == 4)
    assert len(set(hourly.sent_ids())) == 4


def test_a_run_that_is_triggered_is_found_under_the_id_of_its_message(
    lone_scheduler: Scheduler, hourly: Hourly
) -> None:
    request = pb.TriggerScheduleRequest(name=hourly.name)
    run: Any = lone_scheduler.schedules.TriggerSchedule(request).run
    assert [run.task] == [f"tasks/{each}" for each in hourly.sent_ids()]
    assert [each.task for each in hourly.runs()] == [run.task]


def common_id(schedule_id: str, due: dt.datetime) -> str:
    return str(uuid.uuid5(COMMON, f"{schedule_id}@{due.timestamp()}"))


async def test_after_an_upgrade_what_is_under_way_and_what_the_version_before_records_keeps_its_ids(
    postgres_url: str, valkey: Valkey
) -> None:
    valkey.flush()
    url = await create_database(postgres_url)
    await migrate(url, "scheduler", "0019")
    now = dt.datetime.now(dt.UTC)
    under_way, due, late = (now - number * SECOND for number in (30, 20, 10))
    await fetch(url, OLD_SCHEDULE, "old", under_way, due)
    await fetch(url, OLD_RUN, "old", under_way)
    await migrate(url, "scheduler")
    # By a process of the version before, which still runs: a schedule, and runs that it could not publish.
    await fetch(url, OLD_SCHEDULE, "new", due, due)
    for name in ("old", "new"):
        await fetch(url, OLD_RUN, name, late)
    database = Database(url)
    async with dispatcher(database, valkey) as one:
        await one.dispatch_batch()
        await one.delivery.drain()
        await one.delivery.heal()
        async with database.reading() as connection:
            seen = [run_of(row) for row in await connection.fetch("SELECT * FROM celery_schedule_runs_seen")]
            # What the outcomes of runs are asked for by.
            known = await OutcomeStore(connection).open([Band(0, 0, dt.timedelta(0))], 100)
    await database.close()
    ids = {(run.schedule_id, run.due_at): run.task_id for run in seen}
    [own] = [ids.pop(("new", due))]
    assert ids == {
        key: common_id(*key) for key in [("old", under_way), ("old", due), ("old", late), ("new", late)]
    }
    assert own != common_id("new", due)
    assert sorted(await sent(valkey)) == sorted([*ids.values(), own])
    assert sorted(run.task_id for run in known[0]) == sorted([*ids.values(), own])
