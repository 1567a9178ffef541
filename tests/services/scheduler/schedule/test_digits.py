"""Numbers in a task's arguments keep all their digits, by every way in and out."""

from __future__ import annotations

import base64
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest
import redis
from celeriac.scheduler.v1 import manifests_pb2
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.schedules import CRONTAB, create, update
from tests.support.servers import Valkey

# Beyond the whole numbers of a double, one beyond 64 bits, a whole number beside a float, thirty digits.
ARGS = "[9007199254740993, 18446744073709551617, 5, 5.0, 123456789012345678901234567890]"
KWARGS = '{"exact": 0.123456789012345678901234567890, "small": -1e-7, "deep": {"list": [1.0, 1]}}'


def numbers(text: str) -> Any:
    """The arguments with each number told apart by its type and its digits."""
    return json.loads(text, parse_float=lambda digits: ("float", Decimal(digits)), parse_int=Whole)


class Whole(str):
    """The digits of a whole number, which no float equals."""


class Wanted:
    """A schedule with such arguments."""

    def __init__(self) -> None:
        self.id = f"digits-{uuid.uuid4().hex[:8]}"
        self.name, self.queue = f"schedules/{self.id}", f"q-{self.id}"
        self.schedule = pb.Schedule(
            name=self.name,
            task=pb.TaskSpec(
                task_name="count", args_json=ARGS, kwargs_json=KWARGS, queue=f"queues/{self.queue}"
            ),
            timing=CRONTAB,
        )


@pytest.fixture
def wanted() -> Wanted:
    return Wanted()


def exact(task: pb.TaskSpec) -> bool:
    return (numbers(task.args_json), numbers(task.kwargs_json)) == (numbers(ARGS), numbers(KWARGS))


def test_what_is_created_and_updated_keeps_its_digits(schedules: Any, wanted: Wanted) -> None:
    assert exact(create(schedules, wanted.schedule).task)
    assert exact(schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule.task)
    emptied = update(schedules, pb.Schedule(name=wanted.name), "task.args_json", "task.kwargs_json")
    assert (emptied.task.args_json, emptied.task.kwargs_json) == ("[]", "{}")
    assert exact(update(schedules, wanted.schedule).task)


def test_the_message_on_the_broker_has_all_digits(schedules: Any, wanted: Wanted, valkey: Valkey) -> None:
    create(schedules, wanted.schedule)
    schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=wanted.name))
    with redis.Redis(valkey.host, valkey.port) as client:
        [message] = map(json.loads, client.lrange(wanted.queue, 0, -1))
    args, kwargs, _ = numbers(base64.b64decode(message["body"]).decode())
    assert (args, kwargs) == (numbers(ARGS), numbers(KWARGS))
    # As Celery itself would show the arguments to people: whole numbers exactly, floats as Python's.
    assert message["headers"]["argsrepr"] == repr(tuple(json.loads(ARGS)))
    assert message["headers"]["kwargsrepr"] == repr(json.loads(KWARGS))


@pytest.mark.parametrize("form", [manifests_pb2.MANIFEST_FORMAT_YAML, manifests_pb2.MANIFEST_FORMAT_JSON])
def test_what_is_exported_and_applied_again_keeps_its_digits(
    schedules: Any, manifests: Any, wanted: Wanted, form: Any
) -> None:
    create(schedules, wanted.schedule)
    export = manifests_pb2.ExportSchedulesRequest(queues=[f"queues/{wanted.queue}"], format=form)
    text = manifests.ExportSchedules(export).manifest
    request = manifests_pb2.ApplySchedulesRequest(manifest=text)
    assert manifests.ApplySchedules(request).difference.unchanged_count == 1
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=wanted.name))
    assert manifests.ApplySchedules(request).difference.create_count == 1
    assert exact(schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule.task)


@pytest.mark.parametrize("as_json", [True, False], ids=["JSON", "YAML"])
def test_numbers_of_a_manifest_keep_their_digits_and_a_change_of_the_last_is_one(
    schedules: Any, manifests: Any, wanted: Wanted, as_json: bool
) -> None:
    entry = f'{{id: {wanted.id}, task: count, crontab: "0 3 * * *", args: {ARGS}, kwargs: {KWARGS}}}'
    if as_json:
        entry = entry.replace("id:", '"id":').replace("task:", '"task":').replace("crontab:", '"crontab":')
        entry = entry.replace("kwargs:", '"kwargs":').replace(" args:", ' "args":')
        entry = entry.replace(wanted.id, f'"{wanted.id}"').replace(": count", ': "count"')
        text = f'{{"schedules": [{entry}]}}'
    else:
        text = f"schedules: [{entry}]"
    manifests.ApplySchedules(manifests_pb2.ApplySchedulesRequest(manifest=text))
    assert exact(schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule.task)
    for digits in ("0.123456789012345678901234567890", "123456789012345678901234567890", "[1.0, 1]"):
        other = text.replace(digits, digits.replace("890", "891").replace("[1.0", "[1"))
        request = manifests_pb2.ApplySchedulesRequest(manifest=other, validate_only=True)
        assert manifests.ApplySchedules(request).difference.change_count == 1, digits


def test_what_is_taken_over_from_another_beat_keeps_its_digits(
    schedules: Any, manifests: Any, wanted: Wanted
) -> None:
    every = '{"kind": "interval", "seconds": 86400, "zone": "UTC"}'
    usual = f'"name": "{wanted.id}", "task": "count", "schedule": {every}'
    entry = f'{{{usual}, "args": {ARGS}, "kwargs": {KWARGS}}}'
    dump = f'{{"celeriac_dump": 1, "source": "beat_schedule", "entries": [{entry}]}}'
    answer = manifests.ImportSchedules(manifests_pb2.ImportSchedulesRequest(dump=dump))
    assert exact(schedules.GetSchedule(pb.GetScheduleRequest(name=wanted.name)).schedule.task)
    again = manifests_pb2.ApplySchedulesRequest(manifest=answer.manifest)
    assert manifests.ApplySchedules(again).difference.unchanged_count == 1
