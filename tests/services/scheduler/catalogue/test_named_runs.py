"""A run is a resource: it has a name, under which it is found."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb

from services.scheduler.schedule.definition import task_id
from services.scheduler.schedule.names import run_name
from tests.support.backfills import Hourly, record
from tests.support.calls import refused
from tests.support.schedulers import Scheduler
from tests.support.schedules import CRONTAB, create, schedule_of
from tests.support.sql import fetch_sync


def named(schedules: Any, name: str) -> pb.Run:
    run: pb.Run = schedules.GetRun(pb.GetRunRequest(name=name)).run
    return run


def test_each_run_is_found_by_the_name_that_its_list_has(schedules: Any, lone_scheduler: Scheduler) -> None:
    name = create(schedules, schedule_of(CRONTAB)).name
    triggered = [schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name)).run for _ in range(3)]
    listed = lone_scheduler.runs(name)
    assert [run.name for run in listed] == [run.name for run in triggered]
    assert [named(schedules, run.name) for run in listed] == listed


def test_a_runs_name_is_its_schedule_and_its_due_time(
    schedules: Any, hourly: Hourly, database_url: str
) -> None:
    due = hourly.first + dt.timedelta(microseconds=7)
    record(database_url, hourly, due, "batched")
    run = named(schedules, f"{hourly.name}/runs/{due:%Y%m%dT%H%M%S}.000007Z")
    assert (run.due_time.ToDatetime(dt.UTC), run.task) == (due, f"tasks/{task_id(hourly.id, due, None)}")


def test_the_audit_record_of_a_trigger_links_to_the_run(schedules: Any, database_url: str) -> None:
    name = create(schedules, schedule_of(CRONTAB)).name
    run = schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name)).run
    rows = fetch_sync(database_url, "SELECT entry FROM audit_outbox_scheduler ORDER BY seq DESC LIMIT 2")
    outcome, intent = (json.loads(row["entry"]) for row in rows)
    assert (intent["resource"], outcome["resource"]) == (name, run.name)
    change = pb.Schedule(name=name, description="another")
    schedules.UpdateSchedule(pb.UpdateScheduleRequest(schedule=change))
    rows = fetch_sync(database_url, "SELECT entry FROM audit_outbox_scheduler ORDER BY seq DESC LIMIT 2")
    outcome, intent = (json.loads(row["entry"]) for row in rows)
    assert (intent["resource"], outcome["resource"]) == (name, "")


def test_a_run_that_there_is_not_is_told_by_its_name(schedules: Any, hourly: Hourly) -> None:
    name = run_name(hourly.id, hourly.first)
    code, told = refused(schedules.GetRun, pb.GetRunRequest(name=name))
    assert (code, told) == (grpc.StatusCode.NOT_FOUND, f"there is no run {name!r}")
