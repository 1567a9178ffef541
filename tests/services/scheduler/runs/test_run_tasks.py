"""What runs have sent is known as long as their schedules have not changed: the monitor asks for retries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from google.protobuf.duration_pb2 import Duration

from tests.support.calls import eventually, refused
from tests.support.schedulers import Scheduler
from tests.support.schedules import CRONTAB, MINUTE, at, create, schedule_of, update

SPEC = pb.TaskSpec(
    task_name="report",
    args_json='[9007199254740993, {"password": "hunter2"}]',
    kwargs_json='{"to": "mei"}',
    queue="queues/kept",
    priority=3,
    headers={"tenant": "a"},
)
EVERY_SECOND = pb.Timing(interval=pb.Interval(every=Duration(seconds=1)))


@pytest.fixture(scope="module")
def as_monitor(lone_scheduler: Scheduler) -> Iterator[schedules_pb2_grpc.ScheduleServiceStub]:
    with lone_scheduler.process.channel("monitor") as channel:
        yield schedules_pb2_grpc.ScheduleServiceStub(channel)


def run_tasks(stub: schedules_pb2_grpc.ScheduleServiceStub, *runs: pb.Run) -> dict[str, pb.RunTask]:
    request = pb.BatchGetRunTasksRequest(names=[run.name for run in runs])
    return {each.run: each for each in stub.BatchGetRunTasks(request, timeout=30).run_tasks}


def created(scheduler: Scheduler, timing: pb.Timing, **more: object) -> str:
    wanted = schedule_of(timing, **more)
    wanted.task.CopyFrom(SPEC)
    return create(scheduler.schedules, wanted).name


def triggered(scheduler: Scheduler, name: str) -> pb.Run:
    run: pb.Run = scheduler.schedules.TriggerSchedule(pb.TriggerScheduleRequest(name=name)).run
    return run


@pytest.mark.parametrize("more", [{}, {"max_runs": 1000}], ids=["plain", "with a bound"])
def test_a_due_run_tells_what_it_sent(
    lone_scheduler: Scheduler, as_monitor: schedules_pb2_grpc.ScheduleServiceStub, more: dict[str, object]
) -> None:
    name = created(lone_scheduler, EVERY_SECOND, **more)
    run = eventually(lambda: lone_scheduler.runs(name))[0]
    sent = run_tasks(as_monitor, run)[run.name]
    assert (sent.task, sent.spec) == (run.task, SPEC)
    lone_scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name))
    assert run_tasks(as_monitor, run) == {}


def test_a_backfilled_run_tells_what_it_sent(
    lone_scheduler: Scheduler, as_monitor: schedules_pb2_grpc.ScheduleServiceStub
) -> None:
    name, due = created(lone_scheduler, CRONTAB), dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
    request = pb.BackfillScheduleRequest(name=name, rate=100, start_time=at(due), end_time=at(due + MINUTE))
    lone_scheduler.schedules.BackfillSchedule(request)
    (run,) = eventually(lambda: lone_scheduler.runs(name))
    assert run_tasks(as_monitor, run)[run.name].spec == SPEC


def test_a_run_of_a_schedule_that_was_changed_since_tells_nothing(
    lone_scheduler: Scheduler, as_monitor: schedules_pb2_grpc.ScheduleServiceStub
) -> None:
    name = created(lone_scheduler, CRONTAB)
    before = triggered(lone_scheduler, name)
    assert run_tasks(as_monitor, before)[before.name].spec == SPEC
    update(
        lone_scheduler.schedules, pb.Schedule(name=name, task=pb.TaskSpec(args_json="[1]")), "task.args_json"
    )
    after = triggered(lone_scheduler, name)
    sent = run_tasks(as_monitor, before, after)
    assert sent.keys() == {after.name}
    assert sent[after.name].spec.args_json == "[1]"


def test_people_can_not_ask_for_it(lone_scheduler: Scheduler) -> None:
    request = pb.BatchGetRunTasksRequest(names=["schedules/a/runs/20261129T033000.000000Z"])
    code, _ = refused(lone_scheduler.schedules.BatchGetRunTasks, request)
    assert code is grpc.StatusCode.PERMISSION_DENIED
