"""Why a schedule did or did not run, as far as the scheduler knows it by itself: there is no monitor."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import asyncpg
import grpc
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc, manifests_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from services.kernel.database import driver_url
from tests.support.calls import Caller, eventually, fields_at_fault, refused
from tests.support.schedulers import Scheduler
from tests.support.schedules import at, update
from tests.support.servers import Valkey

EACH_SECOND = pb.Timing(interval=pb.Interval(every={"seconds": 1}))
HOURLY = pb.Timing(crontab=pb.Crontab(expression="0 * * * *"), time_zone="UTC")
NEVER = pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"))


def moment(seconds: float) -> Timestamp:
    return at(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds))


def created(schedules: Any, timing: pb.Timing, **rest: Any) -> str:
    name = f"schedules/e-{uuid.uuid4().hex[:8]}"
    task = pb.TaskSpec(task_name="count", queue="queues/elsewhere")
    schedule = pb.Schedule(name=name, task=task, timing=timing, **rest)
    schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule))
    return name


def explained(schedules: Any, name: str, **rest: Any) -> pb.ExplainScheduleResponse:
    answer: pb.ExplainScheduleResponse = schedules.ExplainSchedule(
        pb.ExplainScheduleRequest(name=name, **rest)
    )
    return answer


def once_decided(schedules: Any, name: str, decision: int) -> pb.ExplainScheduleResponse:
    """The explanation, once its newest due time was decided so."""

    def decided() -> pb.ExplainScheduleResponse | None:
        answer = explained(schedules, name)
        return answer if answer.due_times and answer.due_times[0].decision == decision else None

    answer: pb.ExplainScheduleResponse = eventually(decided)
    return answer


def decisions(answer: pb.ExplainScheduleResponse) -> set[int]:
    return {each.decision for each in answer.due_times}


async def by_sql(url: str, statement: str, name: str) -> None:
    connection = await asyncpg.connect(driver_url(url))
    try:
        await connection.execute(statement, name.removeprefix("schedules/"))
    finally:
        await connection.close()


def test_while_the_broker_is_away_a_run_is_told_as_unsent(schedules: Any, valkey: Valkey) -> None:
    name = created(schedules, NEVER)
    valkey.stop()
    try:
        schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name))
        [found] = explained(schedules, name).due_times
    finally:
        valkey.start()
    assert found.decision == pb.DUE_TIME_DECISION_UNSENT
    assert "The broker does not answer" in found.reason
    assert "make status" in found.next_step
    answer = once_decided(schedules, name, pb.DUE_TIME_DECISION_SENT)
    assert "triggered by mei" in answer.due_times[0].reason
    assert answer.monitor_fault != ""


def test_after_its_end_time_a_schedule_is_told_as_done(schedules: Any) -> None:
    name = created(schedules, EACH_SECOND, end_time=moment(2.5))
    answer = once_decided(schedules, name, pb.DUE_TIME_DECISION_AFTER_END)
    assert answer.condition == pb.SCHEDULE_CONDITION_DONE
    assert "its end_time, " in answer.summary
    assert "update_mask=end_time" in answer.next_step
    assert pb.DUE_TIME_DECISION_SENT in decisions(answer)
    assert not answer.HasField("next_run_time")


def test_after_its_max_runs_a_schedule_is_told_as_done(schedules: Any) -> None:
    name = created(schedules, EACH_SECOND, max_runs=1)
    answer = once_decided(schedules, name, pb.DUE_TIME_DECISION_MAX_RUNS)
    assert answer.condition == pb.SCHEDULE_CONDITION_DONE
    assert "it has had 1 runs, and its max_runs is 1" in answer.summary
    assert decisions(answer) == {pb.DUE_TIME_DECISION_SENT, pb.DUE_TIME_DECISION_MAX_RUNS}


def test_a_schedule_that_runs_once_is_told_as_done_afterwards(schedules: Any) -> None:
    name = created(schedules, pb.Timing(once=pb.Once(at=moment(0.5))))
    answer = once_decided(schedules, name, pb.DUE_TIME_DECISION_SENT)
    assert answer.condition == pb.SCHEDULE_CONDITION_DONE
    assert "its only due time was " in answer.summary
    assert ":trigger" in answer.next_step


def test_before_its_start_time_a_schedule_is_told_as_not_begun(schedules: Any) -> None:
    answer = explained(schedules, created(schedules, HOURLY, start_time=moment(90_000)))
    assert answer.condition == pb.SCHEDULE_CONDITION_NOT_BEGUN
    assert "its start_time is " in answer.summary
    assert list(answer.due_times) == []


def test_of_a_window_without_due_times_the_one_before_and_the_next_are_told(schedules: Any) -> None:
    timing = pb.Timing(crontab=pb.Crontab(expression="0 0 1 1 *"), time_zone="UTC")
    name = created(schedules, timing)
    new = explained(schedules, name)
    assert "It is new: it was created at " in new.summary and "no due time" not in new.summary
    before = explained(schedules, name, start_time=moment(-7200), end_time=moment(-3600))
    assert "It was created later, at " in before.summary
    since = moment(0)
    answer = explained(schedules, name, start_time=since)
    assert answer.condition == pb.SCHEDULE_CONDITION_ACTIVE
    year = dt.datetime.now(dt.UTC).year
    assert f"It is due next at {year + 1}-01-01 00:00:00Z" in answer.summary
    assert "It had no due time from " in answer.summary
    assert f"the one before was {year}-01-01 00:00:00Z" in answer.summary


async def test_due_times_that_were_missed_together_are_each_told_as_missed(
    schedules: Any, database_url: str
) -> None:
    policy = pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP)
    name = created(schedules, HOURLY, misfire_policy=policy)
    statement = "UPDATE celery_schedule_history SET since = now() - interval '1 day' WHERE schedule_id = $1"
    await by_sql(database_url, statement, name)
    past = (
        "UPDATE celery_schedules SET next_run_at = date_trunc('hour', now()) - interval '5 h' WHERE id = $1"
    )
    await by_sql(database_url, past, name)
    eventually(lambda: explained(schedules, name).due_times[5].HasField("run"))
    # The newest may be due within the minute in which this runs.
    missed = explained(schedules, name).due_times[1:6]
    assert {each.decision for each in missed} == {pb.DUE_TIME_DECISION_MISSED}
    assert [each.HasField("run") for each in missed] == [False, False, False, False, True]
    assert "its policy is to skip" in missed[0].reason
    assert "stands for this one" in missed[0].reason
    assert ":backfill" in missed[0].next_step


async def test_a_due_time_that_no_scheduler_takes_is_told_as_overdue(
    schedules: Any, database_url: str
) -> None:
    name = created(schedules, EACH_SECOND)
    connection = await asyncpg.connect(driver_url(database_url))
    async with connection.transaction():
        await connection.execute(
            "SELECT FROM celery_schedules WHERE id = $1 FOR UPDATE", name.removeprefix("schedules/")
        )

        def overdue() -> pb.DueTimeExplanation | None:
            late = [
                each
                for each in explained(schedules, name).due_times
                if each.decision == pb.DUE_TIME_DECISION_OVERDUE
            ]
            return late[0] if late else None

        found = eventually(overdue)
    await connection.close()
    assert "no scheduler has dispatched it" in found.reason
    assert "pg_stat_activity" in found.next_step
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=name))


async def test_each_change_is_told_with_who_made_it_and_what_changed(
    lone_scheduler: Scheduler, schedules: Any, database_url: str
) -> None:
    name = created(schedules, NEVER)
    changed = pb.Schedule(name=name, timing=HOURLY, task=pb.TaskSpec(kwargs_json='{"password": "hunter2"}'))
    update(schedules, changed, "timing", "task.kwargs_json")
    await by_sql(database_url, "UPDATE celery_schedules SET queue = 'other' WHERE id = $1", name)
    manifest = f"""
        schedules:
          - id: {name.removeprefix("schedules/")}
            task: count
            crontab: "30 * * * *"
            queue: other
            kwargs: {{password: hunter2}}
    """
    lone_scheduler.manifests.ApplySchedules(manifests_pb2.ApplySchedulesRequest(manifest=manifest))
    answer = explained(schedules, name)
    edits = [(edit.kind, edit.actor, sorted(edit.fields)) for edit in answer.edits]
    assert edits == [
        (pb.SCHEDULE_EDIT_KIND_UPDATED, "mei", ["timing.crontab", "timing.time_zone"]),
        (pb.SCHEDULE_EDIT_KIND_UPDATED, "", ["task.queue"]),
        (pb.SCHEDULE_EDIT_KIND_UPDATED, "mei", ["task.kwargs_json", "timing.crontab", "timing.time_zone"]),
        (pb.SCHEDULE_EDIT_KIND_CREATED, "mei", []),
    ]
    assert answer.history_start_time == answer.edits[-1].edit_time
    assert "hunter2" not in str(answer)


async def test_of_a_row_that_can_not_be_read_it_is_told_why_and_how_it_is_repaired(
    schedules: Any, database_url: str
) -> None:
    name = created(schedules, EACH_SECOND)
    broken = (
        "UPDATE celery_schedules SET crontab = 'x y z', interval_seconds = NULL, anchor = NULL WHERE id = $1"
    )
    await by_sql(database_url, broken, name)
    answer = once_decided(schedules, name, pb.DUE_TIME_DECISION_UNREADABLE)
    assert answer.condition == pb.SCHEDULE_CONDITION_UNREADABLE
    assert "crontab has 3 fields, it needs 5" in answer.summary
    assert "UpdateSchedule" in answer.next_step


def test_the_newest_due_times_are_told_and_that_there_are_older_ones(schedules: Any) -> None:
    name = created(schedules, EACH_SECOND)
    eventually(lambda: len(explained(schedules, name).due_times) >= 3)
    whole = explained(schedules, name)
    assert not whole.older_left_out
    end = whole.due_times[0].due_time
    some = explained(schedules, name, count=2, end_time=end)
    assert some.older_left_out
    assert [each.due_time for each in some.due_times] == [each.due_time for each in whole.due_times[:2]]
    start = whole.due_times[1].due_time
    rest = explained(schedules, name, start_time=start, end_time=end)
    assert [each.due_time for each in rest.due_times] == [each.due_time for each in whole.due_times[:2]]
    assert not rest.older_left_out
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=name))


def test_what_can_not_be_explained_is_refused_with_the_field_at_fault(schedules: Any) -> None:
    name = created(schedules, NEVER)

    def asked(**rest: Any) -> list[str]:
        return fields_at_fault(schedules.ExplainSchedule, pb.ExplainScheduleRequest(name=name, **rest))

    assert asked(count=201) == ["count"]
    assert asked(count=-1) == ["count"]
    assert asked(start_time=moment(3600)) == ["start_time"]
    assert asked(start_time=moment(-400 * 86_400)) == ["start_time"]
    assert asked(start_time=moment(-60), end_time=moment(-120)) == ["end_time"]
    assert fields_at_fault(schedules.ExplainSchedule, pb.ExplainScheduleRequest(name="x")) == ["name"]
    missing = pb.ExplainScheduleRequest(name="schedules/no-such")
    assert refused(schedules.ExplainSchedule, missing)[0] is grpc.StatusCode.NOT_FOUND


async def test_what_a_schedule_was_too_long_ago_is_forgotten_and_what_it_is_now_stays(
    lone_scheduler: Scheduler, schedules: Any, database_url: str
) -> None:
    name = created(schedules, NEVER)
    for paused in (True, False):
        await by_sql(database_url, f"UPDATE celery_schedules SET paused = {paused} WHERE id = $1", name)
    old = """
        UPDATE celery_schedule_history SET since = since - CASE
            WHEN kind = 'created' THEN interval '5 days'
            WHEN definition ->> 'paused' = 'true' THEN interval '4 days'
            ELSE interval '0' END
        WHERE schedule_id = $1
    """
    await by_sql(database_url, old, name)
    config = Caller(config_pb2_grpc.ConfigServiceStub(lone_scheduler.channel), lone_scheduler.token)
    value = config_pb2.ConfigValue(duration_value={"seconds": 2 * 86_400})
    key = "configs/scheduler.runs.retention"
    config.SetConfig(config_pb2.SetConfigRequest(name=key, value=value))
    start = moment(-6 * 86_400)
    kinds = [pb.SCHEDULE_EDIT_KIND_RESUMED, pb.SCHEDULE_EDIT_KIND_PAUSED]
    eventually(lambda: [each.kind for each in explained(schedules, name, start_time=start).edits] == kinds)


async def test_the_history_of_a_deleted_schedule_is_not_told_of_one_that_is_created_anew(
    schedules: Any,
) -> None:
    name = created(schedules, HOURLY)
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
    task = pb.TaskSpec(task_name="count", queue="queues/elsewhere")
    again = pb.Schedule(name=name, task=task, timing=NEVER)
    schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=again))
    assert [each.kind for each in explained(schedules, name).edits] == [pb.SCHEDULE_EDIT_KIND_CREATED]
