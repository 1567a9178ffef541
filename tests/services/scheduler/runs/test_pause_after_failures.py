"""A schedule that pauses itself when so many of its runs in a row have failed."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.kernel.database import Database
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.runs.failures import pause_failing
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming
from tests.support.calls import eventually, fields_at_fault
from tests.support.celery_workers import Worker
from tests.support.schedulers import Scheduler

NEVER = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))
MINUTE = dt.timedelta(minutes=1)


def test_it_pauses_after_as_many_failures_as_it_bears_and_goes_on_when_it_is_resumed(
    scheduler: Scheduler, worker: Worker
) -> None:
    name = f"schedules/f-{uuid.uuid4().hex[:8]}"
    schedule = pb.Schedule(
        name=name,
        task=pb.TaskSpec(task_name="fail", args_json='["the disk is full"]', queue="queues/runs"),
        timing=NEVER,
        pause_after_failures=2,
    )
    scheduler.schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))

    def stored() -> Any:
        return scheduler.schedules.GetSchedule(pb.GetScheduleRequest(name=name)).schedule

    def fails() -> pb.Run:
        """One more run, once its failure is recorded."""
        run = scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name)).run
        found: pb.Run = eventually(
            lambda: (
                known
                if (known := scheduler.schedules.GetRun(pb.GetRunRequest(name=run.name)).run).outcome
                else None
            ),
            40,
        )
        assert found.outcome == pb.RUN_OUTCOME_FAILED
        return found

    fails()
    assert not stored().paused
    newest = fails()
    paused = eventually(lambda: found if (found := stored()).paused else None)
    assert paused.pause_note == f"its last 2 runs have failed, the newest {newest.name}"
    assert not paused.HasField("next_run_time")
    explained = scheduler.schedules.ExplainSchedule(pb.ExplainScheduleRequest(name=name))
    assert explained.condition == pb.SCHEDULE_CONDITION_PAUSED
    assert "scheduler" in explained.summary and newest.name in explained.summary
    assert explained.edits[0].kind == pb.SCHEDULE_EDIT_KIND_PAUSED
    assert explained.edits[0].actor == "scheduler"

    # Its failures of before don't count any more.
    scheduler.schedules.ResumeSchedule(pb.ResumeScheduleRequest(name=name))
    fails()
    assert not stored().paused
    fails()
    eventually(lambda: stored().paused)


@pytest.mark.parametrize("failures", [-1, 1_001])
def test_a_number_of_failures_out_of_range_is_told(schedules: Any, failures: int) -> None:
    wanted = pb.Schedule(
        name="schedules/f", task=pb.TaskSpec(task_name="fail"), timing=NEVER, pause_after_failures=failures
    )
    request = pb.CreateScheduleRequest(schedule=wanted)
    assert fields_at_fault(schedules.CreateSchedule, request) == ["schedule.pause_after_failures"]


@pytest.mark.parametrize(
    ("outcomes", "paused"),
    [
        (["FAILURE", "FAILURE", "FAILURE"], True),
        (["SUCCESS", "FAILURE", "REJECTED", "ORPHANED"], True),
        # Of what was revoked, or is not known, it can't be said.
        (["FAILURE", "REVOKED", "FAILURE", None, "ENDED", "FAILURE"], True),
        (["FAILURE", "FAILURE"], False),
        (["FAILURE", "FAILURE", "SUCCESS", "FAILURE"], False),
        (["FAILURE", "FAILURE", "FAILURE", "SUCCESS"], False),
        (["REVOKED", "REVOKED", "REVOKED"], False),
    ],
)
async def test_what_counts_as_a_row_of_failures(
    database: Database, outcomes: Sequence[str | None], paused: bool
) -> None:
    timing = CrontabTiming(parse_crontab("0 3 * * *"), "UTC")
    definition = Definition(f"s-{uuid.uuid4().hex[:8]}", Task("t"), timing, pause_after_failures=3)
    async with database.transaction() as connection:
        stored = await ScheduleStore(connection).create(definition, None)
        for number, outcome in enumerate(outcomes, 1):
            await connection.execute(
                "INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, outcome)"
                " VALUES ($1, $2, 'skipped', '', $3)",
                definition.id,
                stored.updated_at + number * MINUTE,
                outcome,
            )
        # Of a backfill, or of before a change.
        await connection.execute(
            "INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, outcome)"
            " VALUES ($1, $2, 'skipped', '', 'FAILURE')",
            definition.id,
            stored.updated_at - MINUTE,
        )
    await pause_failing(database, [definition.id, "another"])
    async with database.reading() as connection:
        found = await ScheduleStore(connection).get(definition.id)
    assert found.definition.paused is paused
    assert found.version == (2 if paused else 1)
