"""Rows that somebody has written to by SQL: each is told, takes no other with it, and is repaired."""

from __future__ import annotations

import uuid
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import manifests_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.calls import refused
from tests.support.sql import fetch_sync

Code = grpc.StatusCode
# What is written by hand, and the field that is told.
BROKEN = {
    "crontab = '61 * * * *'": "timing",
    "time_zone = 'Mars/Olympus'": "timing",
    "time_zone = repeat('é', 200)": "timing",
    "time_zone = repeat('a/', 3000)": "timing",
    "crontab = NULL, interval_seconds = 'NaN', anchor = now()": "timing",
    "crontab = NULL, solar_event = 'eclipse', latitude = 1, longitude = 1": "timing",
    "crontab = NULL, once_at = 'infinity'": "timing",
    "crontab = NULL, interval_seconds = 60, anchor = '-infinity'": "timing",
    "start_at = '-infinity'": "start_time",
    "end_at = 'infinity'": "end_time",
    # Python knows the years 1 to 9999 alone.
    "crontab = NULL, once_at = '20000-01-01'": "timing",
    "crontab = NULL, interval_seconds = 60, anchor = '0044-03-15 BC'": "timing",
    "start_at = '0044-03-15 BC'": "start_time",
    "end_at = '20000-01-01'": "end_time",
    "args_json = '[1, '": "task",
    "headers = '[1]'": "task",
    "expires = 'infinity'": "task",
    "labels = '{\"n\": 1}'": "labels",
    "jitter_seconds = 'NaN'": "jitter",
    "misfire_window_seconds = 'infinity'": "misfire_policy",
}


def whole(queue: str) -> pb.Schedule:
    return pb.Schedule(
        name=f"schedules/t-{uuid.uuid4().hex[:8]}",
        task=pb.TaskSpec(task_name="report", queue=f"queues/{queue}", kwargs_json='{"n": 1}'),
        timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *"), time_zone="Asia/Taipei"),
        description="yearly, nearly",
    )


def create(schedules: Any, queue: str) -> pb.Schedule:
    stored: pb.Schedule = schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=whole(queue))).schedule
    return stored


def write(url: str, schedule: pb.Schedule, change: str) -> None:
    name = schedule.name.removeprefix("schedules/")
    fetch_sync(url, f"UPDATE celery_schedules SET {change} WHERE id = $1", name)


def get(schedules: Any, name: str) -> pb.Schedule:
    found: pb.Schedule = schedules.GetSchedule(pb.GetScheduleRequest(name=name)).schedule
    return found


@pytest.mark.parametrize(("change", "field"), BROKEN.items())
def test_a_broken_row_is_listed_with_its_fault_and_repaired_by_an_update(
    schedules: Any, database_url: str, change: str, field: str
) -> None:
    queue = f"q-{uuid.uuid4().hex[:8]}"
    sound, broken = create(schedules, queue), create(schedules, queue)
    write(database_url, broken, change)
    listed = schedules.ListSchedules(pb.ListSchedulesRequest(queues=[f"queues/{queue}"])).schedules
    faults = {each.name: each.fault for each in listed}
    assert faults[sound.name] == ""
    assert faults[broken.name].startswith(f"{field} can't be read: ")
    shown = get(schedules, broken.name)
    assert shown.fault == faults[broken.name]
    assert (shown.task.task_name, shown.description) == ("report", "yearly, nearly")
    assert shown.HasField("timing") == (field != "timing")
    wanted = pb.UpdateScheduleRequest(schedule=whole(queue), update_mask=FieldMask(paths=[field]))
    wanted.schedule.name = broken.name
    assert schedules.UpdateSchedule(wanted).schedule.fault == ""
    repaired = get(schedules, broken.name)
    assert (repaired.timing, repaired.task, repaired.labels) == (sound.timing, sound.task, sound.labels)
    assert repaired.next_run_time == sound.next_run_time


@pytest.mark.parametrize("moment", ["infinity", "20000-01-01"])
def test_a_row_with_times_without_end_is_listed(schedules: Any, database_url: str, moment: str) -> None:
    stored = create(schedules, f"q-{uuid.uuid4().hex[:8]}")
    infinite = ("next_run_at", "next_due_at", "last_run_at", "created_at", "updated_at")
    write(database_url, stored, ", ".join(f"{column} = '{moment}'" for column in infinite))
    shown = get(schedules, stored.name)
    assert not shown.HasField("next_run_time") and not shown.HasField("last_run_time")
    wanted = pb.Schedule(name=stored.name, timing=stored.timing)
    wanted.timing.crontab.expression = "0 3 * * *"
    change = pb.UpdateScheduleRequest(schedule=wanted, update_mask=FieldMask(paths=["timing"]))
    assert schedules.UpdateSchedule(change).schedule.HasField("next_run_time")


def test_what_cannot_be_read_stays_as_it_is_until_it_is_repaired(schedules: Any, database_url: str) -> None:
    broken = create(schedules, f"q-{uuid.uuid4().hex[:8]}")
    write(database_url, broken, "crontab = '61 * * * *'")
    schedules.PauseSchedule(pb.PauseScheduleRequest(name=broken.name, note="by hand"))
    wanted = pb.Schedule(name=broken.name, description="to be repaired")
    mask = FieldMask(paths=["description"])
    schedules.UpdateSchedule(pb.UpdateScheduleRequest(schedule=wanted, update_mask=mask))
    shown = get(schedules, broken.name)
    assert shown.fault.startswith("timing can't be read: ")
    assert (shown.paused, shown.description) == (True, "to be repaired")
    statement = "SELECT crontab FROM celery_schedules WHERE id = $1"
    rows = fetch_sync(database_url, statement, broken.name.removeprefix("schedules/"))
    assert rows[0]["crontab"] == "61 * * * *"
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=broken.name))


def test_what_needs_the_unreadable_part_is_refused_with_the_reason(schedules: Any, database_url: str) -> None:
    untimed = create(schedules, f"q-{uuid.uuid4().hex[:8]}")
    write(database_url, untimed, "crontab = '61 * * * *'")
    request = pb.PreviewTimesRequest(name=untimed.name)
    code, why = refused(schedules.PreviewTimes, request)
    assert code is Code.FAILED_PRECONDITION and "timing can't be read" in why
    unsent = create(schedules, f"q-{uuid.uuid4().hex[:8]}")
    write(database_url, unsent, "args_json = '[1, '")
    trigger = pb.TriggerScheduleRequest(name=unsent.name)
    code, why = refused(schedules.TriggerSchedule, trigger)
    assert code is Code.FAILED_PRECONDITION and "task can't be read" in why


def test_an_export_names_the_broken_one_and_applying_the_file_repairs_it(
    schedules: Any, manifests: Any, database_url: str
) -> None:
    queue = f"q-{uuid.uuid4().hex[:8]}"
    broken = create(schedules, queue)
    export = manifests_pb2.ExportSchedulesRequest(queues=[f"queues/{queue}"])
    text = manifests.ExportSchedules(export).manifest
    write(database_url, broken, "crontab = '61 * * * *', headers = '7'")
    code, why = refused(manifests.ExportSchedules, export)
    assert code is Code.FAILED_PRECONDITION and broken.name in why
    applied = manifests.ApplySchedules(manifests_pb2.ApplySchedulesRequest(manifest=text))
    assert [change.name for change in applied.difference.changes] == [broken.name]
    assert get(schedules, broken.name).fault == ""
    assert manifests.ExportSchedules(export).manifest == text
