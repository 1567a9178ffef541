"""The id of a request is in every line of what the request brings about, from the gateway to the worker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import tasks_pb2, tasks_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.support.calls import eventually
from tests.support.log_lines import fault_of
from tests.support.schedules import INTERVAL, create, schedule_of
from tests.support.system import System

CLEANUP = "schedules/cleanup-cache-daily"
# A queue that no worker consumes, so that its message can be looked at.
NOBODYS = "looked-at"


@pytest.fixture(scope="module")
def channel(system: System) -> Iterator[grpc.Channel]:
    with system.channel("admin") as channel:
        yield channel


def called(call: Any, request: Any) -> tuple[Any, str]:
    """Makes a call under a new request id. Returns the answer, and the id."""
    request_id = f"ticket-{uuid.uuid4().hex}"
    return call(request, timeout=60, metadata=(("x-request-id", request_id),)), request_id


def lines_of(system: System, *options: str) -> list[dict[str, Any]]:
    told = system.run("logs", "--no-follow", *options)
    assert told.returncode == 0, told.stderr
    assert [fault for fault in map(fault_of, told.stdout.splitlines()) if fault] == []
    return [json.loads(line) for line in told.stdout.splitlines()]


def events_of(system: System, request_id: str) -> set[tuple[str, str]]:
    """Of whom and of what there are lines with the id."""
    return {(line["service"], line["event"]) for line in lines_of(system, "--request", request_id)}


def has(system: System, request_id: str, *wanted: tuple[str, str]) -> None:
    assert eventually(lambda: events_of(system, request_id) >= set(wanted), 90), events_of(system, request_id)


def test_a_triggers_request_id_is_in_the_lines_of_gateway_scheduler_and_worker(
    system: System, channel: grpc.Channel
) -> None:
    schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
    answer, request_id = called(schedules.TriggerSchedule, pb.TriggerScheduleRequest(name=CLEANUP))
    run, task_id = answer.run.name, answer.run.task.removeprefix("tasks/")
    has(
        system,
        request_id,
        ("gateway", "gateway.answered"),
        ("scheduler", "run.triggered"),
        ("scheduler", "rpc.answered"),
        ("embedder", "task.ended"),
    )
    lines = {line["event"]: line for line in lines_of(system, "--request", request_id)}
    ended, schedule = lines["task.ended"], CLEANUP.removeprefix("schedules/")
    assert (ended["task"], ended["state"]) == ("cleanup_cache", "SUCCESS")
    for line in (lines["run.triggered"], ended):
        assert (line["task_id"], line["schedule"], line["run"]) == (task_id, schedule, run)
    of_the_task = lines_of(system, "--task", task_id, "--level", "info", "--since", "1h")
    assert {line["event"] for line in of_the_task} >= {"run.triggered", "task.ended"}
    times = [line["timestamp"] for line in of_the_task]
    assert times == sorted(times)


def test_the_message_of_a_run_carries_the_request_id_and_the_run(
    system: System, channel: grpc.Channel
) -> None:
    schedules: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
    schedule = schedule_of(INTERVAL)
    schedule.task.queue = f"queues/{NOBODYS}"
    name = create(schedules, schedule).name
    try:
        answer, request_id = called(schedules.TriggerSchedule, pb.TriggerScheduleRequest(name=name))
    finally:
        schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=name), timeout=60)
    broker = redis.Redis.from_url(system.valkey_url(0))
    try:
        [envelope] = eventually(lambda: broker.lrange(NOBODYS, 0, -1))
        broker.delete(NOBODYS)
    finally:
        broker.close()
    headers = json.loads(envelope)["headers"]
    assert headers["celeriac_request_id"] == request_id
    assert headers["celeriac_run"] == answer.run.name


def test_a_task_that_is_run_or_retried_by_hand_has_the_request_id(
    system: System, channel: grpc.Channel
) -> None:
    tasks: Any = tasks_pb2_grpc.TaskServiceStub(channel)
    request = tasks_pb2.RunTaskRequest(task_name="cleanup_cache", queue="queues/maintenance")
    answer, run_by = called(tasks.RunTask, request)
    has(system, run_by, ("monitor", "task.sent"), ("embedder", "task.ended"))
    name = answer.task

    def ended() -> bool:
        try:
            found = tasks.GetTask(tasks_pb2.GetTaskRequest(name=name), timeout=30).task
        except grpc.RpcError:
            return False
        return bool(found.state == tasks_pb2.TASK_STATE_SUCCESS)

    assert eventually(ended, 60)
    _, retried_by = called(tasks.RetryTask, tasks_pb2.RetryTaskRequest(name=name))
    has(system, retried_by, ("monitor", "task.retried"), ("embedder", "task.ended"))
    lines = {line["event"]: line for line in lines_of(system, "--request", retried_by)}
    assert lines["task.retried"]["retry_of"] == name.removeprefix("tasks/")


def test_every_line_of_every_process_is_of_the_schema(system: System) -> None:
    assert len(lines_of(system, "--since", "1d")) > 100
