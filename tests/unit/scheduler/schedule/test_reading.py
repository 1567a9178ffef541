"""Definitions have one reader: what it refuses of a message it refuses of a manifest's entry, alike."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf import json_format
from hypothesis import given

from services.kernel.errors import FieldFault
from services.kernel.validation import Faults
from services.scheduler.api import convert
from services.scheduler.manifests.read import read_entries, read_manifest
from services.scheduler.schedule.definition import Definition, Schedule
from services.scheduler.schedule.reading import CHANGEABLE
from tests.support.examples import tried
from tests.unit.scheduler.definitions import DEFINITIONS

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ZONE = "Asia/Taipei"
CRONTAB = {"crontab": {"expression": "0 2 * * *"}}


def of_message(**fields: Any) -> list[FieldFault]:
    task, timing = fields.pop("task", {}), fields.pop("timing", CRONTAB)
    whole = {"name": "schedules/one", "task": {"task_name": "count", **task}, "timing": timing, **fields}
    faults = Faults()
    convert.new_from(json_format.ParseDict(whole, pb.Schedule()), ZONE, NOW, faults)
    return list(faults)


def of_entry(**fields: Any) -> list[FieldFault]:
    timed = {"crontab", "every", "once", "solar"} & fields.keys()
    usual = {} if timed else {"crontab": "0 2 * * *"}
    faults = Faults()
    read_entries([{"id": "one", "task": "count", **usual, **fields}], ZONE, NOW, faults)
    return list(faults)


def shown(definition: Definition) -> pb.Schedule:
    """The message that shows a definition."""
    return convert.schedule_to(Schedule(definition, 1, None, None, NOW, NOW))


SOLAR = {"event": "sunset", "latitude": 25.0, "longitude": 121.5}
PLACE = {"latitude": 25.0, "longitude": 121.5}
SOLAR_MESSAGE = {"event": "SOLAR_EVENT_SUNSET", "place": PLACE}


@pytest.mark.parametrize(
    ("message", "field", "entry", "place"),
    [
        ({"task": {"task_name": " "}}, "task.task_name", {"task": " "}, "task"),
        ({"task": {"args_json": "{}"}}, "task.args_json", {"args": "{}"}, "args"),
        ({"task": {"kwargs_json": "[]"}}, "task.kwargs_json", {"kwargs": "[]"}, "kwargs"),
        ({"task": {"priority": 10}}, "task.priority", {"priority": 10}, "priority"),
        ({"task": {"expires": "-1s"}}, "task.expires", {"expires": -1}, "expires"),
        ({"task": {"expires": "0.000000001s"}}, "task.expires", {"expires": "0.000000001s"}, "expires"),
        (
            {"task": {"time_limit": "300000000.000000001s"}},
            "task.time_limit",
            {"time_limit": "300000000.000000001s"},
            "time_limit",
        ),
        (
            {"task": {"soft_time_limit": "9.0001s"}},
            "task.soft_time_limit",
            {"soft_time_limit": 9.0001},
            "soft_time_limit",
        ),
        ({"jitter": "0.0001s"}, "jitter", {"jitter": "0.0001s"}, "jitter"),
        (
            {"misfire_policy": {"window": "9.0001s"}},
            "misfire_policy.window",
            {"misfire_window": "9.0001s"},
            "misfire_window",
        ),
        ({"task": {"task_name": "count\u00a0it"}}, "task.task_name", {"task": "count\u00a0it"}, "task"),
        (
            {"task": {"headers": {"ten\u200bant": "x"}}},
            "task.headers",
            {"headers": {"ten\u200bant": "x"}},
            "headers",
        ),
        ({"labels": {"team\n": "c"}}, "labels", {"labels": {"team\n": "c"}}, "labels"),
        (
            {"timing": {"crontab": {"expression": "0 2 *\u00a0* *"}}},
            "timing.crontab.expression",
            {"crontab": "0 2 *\u00a0* *"},
            "crontab",
        ),
        (
            {"task": {"soft_time_limit": "9s", "time_limit": "9s"}},
            "task.soft_time_limit",
            {"soft_time_limit": "9s", "time_limit": "9s"},
            "soft_time_limit",
        ),
        ({"task": {"headers": {"id": "x"}}}, "task.headers.id", {"headers": {"id": "x"}}, "headers.id"),
        (
            {"timing": {**CRONTAB, "time_zone": "Mars"}},
            "timing.time_zone",
            {"crontab": "0 2 * * *", "zone": "Mars"},
            "zone",
        ),
        (
            {"timing": {"crontab": {"expression": "0 99 * * *"}}},
            "timing.crontab.expression",
            {"crontab": "0 99 * * *"},
            "crontab",
        ),
        ({"timing": {"interval": {"every": "0.5s"}}}, "timing.interval.every", {"every": "500ms"}, "every"),
        (
            {"timing": {"interval": {"every": "1.0005s"}}},
            "timing.interval.every",
            {"every": "1.0005s"},
            "every",
        ),
        (
            {"timing": {"interval": {"every": "9s", "anchor": "9999-01-01T00:00:00Z"}}},
            "timing.interval.anchor",
            {"every": "9s", "anchor": "9999-01-01T00:00:00Z"},
            "anchor",
        ),
        (
            {"timing": {"once": {"at": "0001-01-01T00:00:00Z"}}},
            "timing.once.at",
            {"once": "0001-01-01T00:00:00Z"},
            "once",
        ),
        (
            {"timing": {"solar": {**SOLAR_MESSAGE, "place": {**PLACE, "latitude": 91}}}},
            "timing.solar.place.latitude",
            {"solar": {**SOLAR, "latitude": 91}},
            "solar.latitude",
        ),
        (
            {"timing": {"solar": {**SOLAR_MESSAGE, "place": {**PLACE, "longitude": -180.5}}}},
            "timing.solar.place.longitude",
            {"solar": {**SOLAR, "longitude": -180.5}},
            "solar.longitude",
        ),
        (
            {"start_time": "2027-02-01T00:00:00Z", "end_time": "2027-01-01T00:00:00Z"},
            "end_time",
            {"start": "2027-02-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"},
            "end",
        ),
        ({"start_time": "9999-01-01T00:00:00Z"}, "start_time", {"start": "9999-01-01T00:00:00Z"}, "start"),
        ({"max_runs": -1}, "max_runs", {"max_runs": -1}, "max_runs"),
        ({"jitter": "90000s"}, "jitter", {"jitter": "25h"}, "jitter"),
        (
            {"jitter": "9s", "task": {"expires": "9s"}},
            "jitter",
            {"jitter": "9s", "expires": "9s"},
            "jitter",
        ),
        (
            {"misfire_policy": {"window": "0s"}},
            "misfire_policy.window",
            {"misfire_window": "0s"},
            "misfire_window",
        ),
        (
            {"misfire_policy": {"action": "MISFIRE_ACTION_SKIP", "window": "9s"}},
            "misfire_policy.window",
            {"misfire": "skip", "misfire_window": "9s"},
            "misfire_window",
        ),
        ({"labels": {"a=b": "c"}}, "labels", {"labels": {"a=b": "c"}}, "labels"),
        ({"description": "x" * 4001}, "description", {"description": "x" * 4001}, "description"),
        (
            {"paused": True, "pause_note": "x" * 1001},
            "pause_note",
            {"paused": True, "pause_note": "x" * 1001},
            "pause_note",
        ),
    ],
)
def test_a_fault_is_told_alike_of_a_message_and_of_a_manifest(
    message: dict[str, Any], field: str, entry: dict[str, Any], place: str
) -> None:
    """In the same words and with an example that both take, each under its own name of the field."""
    [theirs], [ours] = of_message(**message), of_entry(**entry)
    assert (theirs.field, ours.field) == (f"schedule.{field}", f"schedules[0].{place}")
    assert (theirs.fault, theirs.example) == (ours.fault, ours.example)


def test_a_place_must_be_set_and_may_be_where_greenwich_meets_the_equator() -> None:
    [fault] = of_message(timing={"solar": {"event": "SOLAR_EVENT_SUNSET"}})
    assert (fault.field, fault.fault) == ("schedule.timing.solar.place", "is not set")
    assert of_message(timing={"solar": {"event": "SOLAR_EVENT_SUNSET", "place": {}}}) == []
    [fault] = of_entry(solar={"event": "sunset", "latitude": 1})
    assert fault.field == "schedules[0].solar.longitude"


NO_QUEUES = ["unacked_mutex", "celery@host.celery.pidbox", "celeryev", "_kombu.binding.celery", "celeriac:x"]


@pytest.mark.parametrize("name", ["x" * 1025, "日" * 342, " ", "a\0", "\ufeffmail", *NO_QUEUES])
def test_a_queue_that_cannot_be_is_refused_alike_in_the_form_of_each(name: str) -> None:
    [theirs], [ours] = of_message(task={"queue": f"queues/{name}"}), of_entry(queue=name)
    assert (theirs.field, ours.field) == ("schedule.task.queue", "schedules[0].queue")
    assert theirs.fault == ours.fault
    assert (theirs.example, ours.example) == ("queues/ai_analysis", "ai_analysis")


@pytest.mark.parametrize("name", ["ai_analysis", "queue/ai_analysis", "/", "queues"])
def test_a_queue_without_its_prefix_is_refused_with_the_form(name: str) -> None:
    [fault] = of_message(task={"queue": name})
    assert fault.field == "schedule.task.queue"
    assert (fault.fault, fault.example) == (
        f'is {name!r}, not "queues/" and the name of a queue',
        "queues/ai_analysis",
    )


@pytest.mark.parametrize("name", ["a/b", "x" * 1024, "日本 #1:go"])
def test_a_queue_may_have_any_name_that_a_broker_takes(name: str) -> None:
    assert of_message(task={"queue": f"queues/{name}"}) == []
    assert of_entry(queue=name) == []


@tried(200)
@given(DEFINITIONS)
def test_what_a_message_shows_is_read_back_as_the_same(definition: Definition) -> None:
    faults, message = Faults(), shown(definition)
    another = dataclasses.replace(definition, description="another")
    found = convert.changed(another, message, list(CHANGEABLE), ZONE, NOW, faults)
    faults.raise_any()
    assert shown(found) == message


def test_what_can_not_be_read_has_one_fault() -> None:
    """Not a second one, that it is not set or breaks a rule."""
    for entry in (
        {"task": 4},
        {"crontab": 5},
        {"solar": "sunset"},
        {"every": "30 minutes"},
        {"once": "soon"},
    ):
        assert [fault.field for fault in of_entry(**entry)] == [f"schedules[0].{next(iter(entry))}"]
    [fault] = of_message(timing={"solar": {**SOLAR_MESSAGE, "event": 99}})
    assert fault.field == "schedule.timing.solar.event"


def test_what_two_timings_hold_is_told_with_the_fault_of_having_two() -> None:
    found = {fault.field for fault in of_entry(crontab="0 2 * * *", every="30 minutes", jitter="2d")}
    assert found == {"schedules[0]", "schedules[0].every", "schedules[0].jitter"}


def test_a_length_of_time_of_very_many_digits_is_refused_by_its_field() -> None:
    """It was an error of ours: no remainder can be taken of it."""
    text = json.dumps({"schedules": [{"id": "one", "task": "count", "every": "999999999999999w" * 100_000}]})
    faults = Faults()
    read_manifest(text, ZONE, NOW, faults)
    [fault] = faults
    assert fault.field == "schedules[0].every"


def test_fields_outside_the_mask_are_not_looked_at() -> None:
    faults = Faults()
    current = Definition("one", *_task_and_timing())
    message = pb.Schedule(description="new", jitter={"seconds": -1}, start_time={"seconds": 10**15})
    found = convert.changed(current, message, ["description"], ZONE, NOW, faults)
    assert not faults
    assert found == dataclasses.replace(current, description="new")


def _task_and_timing() -> tuple[Any, Any]:
    [found] = read_entries([{"id": "one", "task": "count", "every": "30s"}], ZONE, NOW, Faults())
    return found.definition.task, found.definition.timing
