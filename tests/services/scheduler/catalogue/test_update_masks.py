"""What UpdateSchedule changes: what its mask names; without a mask, what the request sets; with "*", all."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.latlng_pb2 import LatLng

from services.scheduler.schedule.reading import CHANGEABLE
from tests.support.calls import fields_at_fault, refused
from tests.support.schedules import FUTURE, HOUR, at, create, schedule_of, update
from tests.support.sql import fetch_sync

WINDOW = {"seconds": 7200}


def everything_set() -> pb.Schedule:
    """A schedule in which no field that can be changed has its default."""
    timing = pb.Timing(crontab=pb.Crontab(expression="0 3 * * *"), time_zone="Europe/London")
    schedule = schedule_of(
        timing,
        description="每晚",
        labels={"team": "growth"},
        start_time=at(FUTURE),
        end_time=at(FUTURE + 1000 * HOUR),
        max_runs=7,
        jitter={"seconds": 9},
        misfire_policy=pb.MisfirePolicy(action=pb.MISFIRE_ACTION_RUN_EACH, window=WINDOW),
        overlap_policy=pb.OVERLAP_POLICY_SKIP,
        resend_lost=True,
        pause_after_failures=3,
    )
    schedule.task.MergeFrom(
        pb.TaskSpec(
            args_json="[1]",
            kwargs_json='{"kind": "daily"}',
            priority=3,
            expires={"seconds": 60},
            soft_time_limit={"seconds": 10},
            time_limit={"seconds": 20},
            headers={"tenant": "acme"},
        )
    )
    return schedule


@pytest.fixture
def stored(schedules: Any) -> pb.Schedule:
    return create(schedules, everything_set())


def changed_in(before: pb.Schedule, after: pb.Schedule) -> set[str]:
    """The fields that differ, without those that follow from a change."""
    fields = {field.name for field in pb.Schedule.DESCRIPTOR.fields} - {"etag", "update_time"}
    return {field for field in fields if getattr(before, field) != getattr(after, field)}


def test_without_a_mask_only_what_is_set_changes(schedules: Any, stored: pb.Schedule) -> None:
    changed = update(schedules, pb.Schedule(name=stored.name, description="another"))
    assert (changed.description, changed_in(stored, changed)) == ("another", {"description"})


def test_without_a_mask_and_without_a_value_a_call_is_refused(schedules: Any, stored: pb.Schedule) -> None:
    """It would do nothing: false, 0 and "" count as no value, and `paused` is not changed here."""
    for change in (
        pb.Schedule(name=stored.name),
        pb.Schedule(name=stored.name, etag=stored.etag, task=pb.TaskSpec()),
        pb.Schedule(name=stored.name, paused=True),
        pb.Schedule(name=stored.name, description="", resend_lost=False),
    ):
        request = pb.UpdateScheduleRequest(schedule=change)
        assert fields_at_fault(schedules.UpdateSchedule, request) == ["schedule"]
    assert schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule == stored


def test_without_a_mask_what_was_read_and_edited_is_written_back(schedules: Any, stored: pb.Schedule) -> None:
    """The fields that can't be changed, such as next_run_time and paused, are set in it too."""
    edited = pb.Schedule()
    edited.CopyFrom(stored)
    edited.max_runs = 8
    changed = update(schedules, edited)
    assert (changed.max_runs, changed_in(stored, changed)) == (8, {"max_runs"})


def test_without_a_mask_the_rest_of_the_task_stays(schedules: Any, stored: pb.Schedule) -> None:
    change = pb.Schedule(name=stored.name, task=pb.TaskSpec(queue="queues/fast"))
    expected = pb.TaskSpec()
    expected.CopyFrom(stored.task)
    expected.queue = "queues/fast"
    changed = update(schedules, change)
    assert (changed.task, changed_in(stored, changed)) == (expected, {"task"})


def test_without_a_mask_another_timing_keeps_the_zone(schedules: Any, stored: pb.Schedule) -> None:
    crontab = pb.Timing(crontab=pb.Crontab(expression="0 4 * * *"))
    changed = update(schedules, pb.Schedule(name=stored.name, timing=crontab))
    assert changed.timing.crontab.expression == "0 4 * * *"
    assert changed.timing.time_zone == "Europe/London"
    solar = pb.Timing(
        solar=pb.Solar(event=pb.SOLAR_EVENT_SUNSET, place=LatLng(latitude=51.5, longitude=-0.1))
    )
    changed = update(schedules, pb.Schedule(name=stored.name, timing=solar))
    assert (changed.timing.WhichOneof("kind"), changed.timing.time_zone) == ("solar", "Europe/London")
    assert changed.timing.solar.place == solar.solar.place


def test_a_star_replaces_all_and_resets_what_is_not_set(schedules: Any, stored: pb.Schedule) -> None:
    task, timing = pb.TaskSpec(task_name="report"), pb.Timing(crontab=pb.Crontab(expression="0 3 * * *"))
    changed = update(schedules, pb.Schedule(name=stored.name, task=task, timing=timing), "*")
    plain = create(schedules, schedule_of(timing))
    for field in set(CHANGEABLE) - {"task"}:
        assert getattr(changed, field) == getattr(plain, field), field
    assert changed.task == pb.TaskSpec(
        task_name="report", args_json="[]", kwargs_json="{}", queue="queues/celery"
    )
    assert (changed.paused, changed.create_time) == (stored.paused, stored.create_time)


@pytest.mark.parametrize(
    "field",
    [field for field in CHANGEABLE if field not in {"task", "timing"}],
)
def test_a_field_that_is_named_and_not_set_is_reset(schedules: Any, stored: pb.Schedule, field: str) -> None:
    usual = create(schedules, schedule_of(stored.timing))
    changed = update(schedules, pb.Schedule(name=stored.name), field)
    assert getattr(changed, field) == getattr(usual, field)
    assert changed_in(stored, changed) - {"next_run_time"} == {field}


@pytest.mark.parametrize(
    ("path", "reset"),
    [
        ("task.args_json", "[]"),
        ("task.kwargs_json", "{}"),
        ("task.queue", "queues/celery"),
        ("task.priority", 0),
        ("task.headers", {}),
        ("task.expires", None),
    ],
)
def test_a_field_of_the_task_that_is_named_and_not_set_is_reset(
    schedules: Any, stored: pb.Schedule, path: str, reset: Any
) -> None:
    _, _, field = path.partition(".")
    update(schedules, pb.Schedule(name=stored.name), "jitter")
    changed = update(schedules, pb.Schedule(name=stored.name), path)
    if reset is None:
        assert not changed.task.HasField(field)
    else:
        assert getattr(changed.task, field) == reset
    for other in pb.TaskSpec.DESCRIPTOR.fields:
        if other.name != field:
            assert getattr(changed.task, other.name) == getattr(stored.task, other.name)


def test_paths_within_fields_change_these_alone(schedules: Any, stored: pb.Schedule) -> None:
    change = pb.Schedule(
        name=stored.name,
        description="not named",
        task=pb.TaskSpec(task_name="not named", headers={"tenant": "umbrella"}),
        timing=pb.Timing(crontab=pb.Crontab(expression="1 1 1 1 *"), time_zone="Asia/Tokyo"),
        misfire_policy=pb.MisfirePolicy(action=pb.MISFIRE_ACTION_RUN_ONCE, window={"seconds": 5}),
    )
    paths = ("task.headers", "timing.time_zone", "misfire_policy.action")
    changed = update(schedules, change, *paths)
    expected = pb.Schedule()
    expected.CopyFrom(stored)
    del expected.task.headers["tenant"]
    expected.task.headers["tenant"] = "umbrella"
    expected.timing.time_zone = "Asia/Tokyo"
    expected.misfire_policy.action = pb.MISFIRE_ACTION_RUN_ONCE
    for field in CHANGEABLE:
        assert getattr(changed, field) == getattr(expected, field), field


def test_a_policy_that_becomes_skip_gives_up_its_window(schedules: Any, stored: pb.Schedule) -> None:
    skip = pb.MisfirePolicy(action=pb.MISFIRE_ACTION_SKIP)
    changed = update(schedules, pb.Schedule(name=stored.name, misfire_policy=skip))
    assert changed.misfire_policy == skip
    skip.window.seconds = 60
    wrong = pb.UpdateScheduleRequest(schedule=pb.Schedule(name=stored.name, misfire_policy=skip))
    assert fields_at_fault(schedules.UpdateSchedule, wrong) == ["schedule.misfire_policy.window"]


@pytest.mark.parametrize(
    "path",
    ["task", "timing", "task.task_name", "timing.crontab"],
)
def test_what_a_schedule_cannot_be_without_is_not_reset(
    schedules: Any, stored: pb.Schedule, path: str
) -> None:
    request = pb.UpdateScheduleRequest(
        schedule=pb.Schedule(name=stored.name), update_mask=FieldMask(paths=[path])
    )
    [field] = fields_at_fault(schedules.UpdateSchedule, request)
    assert field.startswith(f"schedule.{path.partition('.')[0]}")


@pytest.mark.parametrize(
    "path",
    [
        "next_run_time",
        "paused",
        "pause_note",
        "name",
        "timing.interval.every",
        "labels.team",
        "task.",
        "",
        "tasks",
    ],
)
def test_a_path_that_cannot_be_changed_is_refused_with_those_that_can(
    schedules: Any, stored: pb.Schedule, path: str
) -> None:
    request = pb.UpdateScheduleRequest(
        schedule=pb.Schedule(name=stored.name, description="no"),
        update_mask=FieldMask(paths=["description", path]),
    )
    assert fields_at_fault(schedules.UpdateSchedule, request) == ["update_mask"]
    _, told = refused(schedules.UpdateSchedule, request)
    assert f"names {path!r}, not one of task, description, " in told
    assert "task.queue" in told and "timing.time_zone" in told
    assert schedules.GetSchedule(pb.GetScheduleRequest(name=stored.name)).schedule == stored


def test_a_part_of_what_cannot_be_read_is_changed_as_a_whole_only(
    schedules: Any, stored: pb.Schedule, database_url: str
) -> None:
    """The rest of it would be kept, and nobody knows what that is."""
    statement = "UPDATE celery_schedules SET headers = '[1]' WHERE id = $1"
    fetch_sync(database_url, statement, stored.name.removeprefix("schedules/"))
    task = pb.TaskSpec(task_name="report", queue="queues/fast")
    request = pb.UpdateScheduleRequest(schedule=pb.Schedule(name=stored.name, task=task))
    code, told = refused(schedules.UpdateSchedule, request)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "an update with the mask 'task' repairs it" in told
    request.update_mask.paths.append("task")
    repaired = schedules.UpdateSchedule(request).schedule
    assert (repaired.fault, repaired.task.queue) == ("", "queues/fast")
    assert json.loads(repaired.task.args_json) == []
