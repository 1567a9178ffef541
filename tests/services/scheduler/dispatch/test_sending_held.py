"""scheduler.sends_runs: while it is false, runs are recorded, and are sent when it is true again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celeriac.scheduler.v1 import config_pb2 as config
from celeriac.scheduler.v1 import config_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually
from tests.support.configurations import put
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey

SENDS = "configs/scheduler.sends_runs"
QUEUE = "held"


@pytest.fixture
def settings(lone_scheduler: Scheduler) -> Iterator[Any]:
    caller = Caller(config_pb2_grpc.ConfigServiceStub(lone_scheduler.channel), lone_scheduler.token)
    yield caller
    caller.ResetConfig(config.ResetConfigRequest(name=SENDS))


@pytest.fixture
def schedule(schedules: Any) -> Iterator[str]:
    made = pb.Schedule(
        name="schedules/held-every-second",
        task=pb.TaskSpec(task_name="count", queue=f"queues/{QUEUE}"),
        timing=pb.Timing(interval=pb.Interval(every=Duration(seconds=1)), time_zone="UTC"),
    )
    name = schedules.CreateSchedule(pb.CreateScheduleRequest(schedule=made)).schedule.name
    yield name
    schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))


def waiting(valkey: Valkey) -> int:
    with redis.Redis(valkey.host, valkey.port) as client:
        return int(client.llen(QUEUE))


def pending(scheduler: Scheduler, schedule: str) -> int:
    return sum(run.state == pb.RUN_STATE_PENDING for run in scheduler.runs(schedule))


def test_what_is_due_while_sending_is_held_waits_and_is_sent_once_after_it(
    lone_scheduler: Scheduler, settings: Any, schedule: str, valkey: Valkey
) -> None:
    eventually(lambda: waiting(valkey) >= 1)
    put(settings, SENDS, config.ConfigValue(bool_value=False))
    eventually(lambda: pending(lone_scheduler, schedule) >= 2)
    sent = waiting(valkey)
    lone_scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=schedule))
    held = pending(lone_scheduler, schedule)
    eventually(lambda: pending(lone_scheduler, schedule) >= held + 2)
    assert waiting(valkey) == sent, "nothing was sent, neither by its time nor by hand"
    put(settings, SENDS, config.ConfigValue(bool_value=True))
    eventually(lambda: pending(lone_scheduler, schedule) == 0 and waiting(valkey) > sent + held)
    lone_scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=schedule))
    eventually(lambda: waiting(valkey) == len(lone_scheduler.runs(schedule)))


def test_a_scheduler_that_starts_while_sending_is_held_sends_nothing_either(
    lone_scheduler: Scheduler,
    settings: Any,
    schedule: str,
    valkey: Valkey,
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
) -> None:
    put(settings, SENDS, config.ConfigValue(bool_value=False))
    eventually(lambda: pending(lone_scheduler, schedule) >= 1)
    sent = waiting(valkey)
    with running_scheduler(certificates, tokens, database_url, valkey) as started:
        before = pending(started, schedule)
        eventually(lambda: pending(started, schedule) >= before + 2)
        assert waiting(valkey) == sent
