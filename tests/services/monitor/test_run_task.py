"""Tasks that somebody runs by name, on real workers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2_grpc

from tests.support.calls import Caller, eventually, fields_at_fault, reason_of
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.schedules import at
from tests.support.servers import Valkey


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {
        "CELERIAC_LOG_LINK": "https://logs.example.com/of/{task_id}?name={task}&q={queue}&by={request_id}"
    }


@pytest.fixture(scope="module", autouse=True)
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), queues="celery,other") as worker:
        monitor.await_worker(worker.name)
        # Its queues are asked for a moment after it is heard.
        eventually(lambda: len(monitor.online(worker.name)[0].queues) == 2)
        yield worker


def run(monitor: Monitor, task_name: str, **how: Any) -> pb.RunTaskResponse:
    answer: pb.RunTaskResponse = monitor.tasks.RunTask(pb.RunTaskRequest(task_name=task_name, **how))
    return answer


def refusal(monitor: Monitor, task_name: str, **how: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        run(monitor, task_name, **how)
    error: Any = caught.value
    return reason_of(error), error.details()


def in_state(monitor: Monitor, name: str, state: pb.TaskState | int) -> pb.Task:
    def reached() -> pb.Task | None:
        try:
            task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=name)).task
        except grpc.RpcError:
            return None
        return task if task.state == state else None

    found: pb.Task = eventually(reached)
    return found


def test_a_task_runs_by_its_name(monitor: Monitor, worker: Worker) -> None:
    how = {"args_json": "[40, 2]", "queue": "queues/other", "priority": 3}
    checked = run(monitor, "add", **how, validate_only=True)
    assert (checked.task, list(checked.workers)) == ("", [monitor.online(worker.name)[0].name])
    answer = run(monitor, "add", **how)
    assert list(answer.workers) == list(checked.workers)
    task = in_state(monitor, answer.task, pb.TASK_STATE_SUCCESS)
    assert (task.task_name, task.args, task.result, task.queue) == ("add", "(40, 2)", "42", "queues/other")
    listed = monitor.tasks.ListTasks(pb.ListTasksRequest(task_names=["add"])).tasks
    assert [each.name for each in listed] == [answer.task]


def test_a_task_runs_at_its_time_and_not_after_it_expires(monitor: Monitor) -> None:
    begun = dt.datetime.now(dt.UTC)
    later = run(monitor, "echo", kwargs_json='{"to": "mei"}', countdown={"seconds": 2})
    task = in_state(monitor, later.task, pb.TASK_STATE_RECEIVED)
    assert task.eta.ToDatetime(dt.UTC) - begun >= dt.timedelta(seconds=2)
    done = in_state(monitor, later.task, pb.TASK_STATE_SUCCESS)
    assert done.started_time.ToDatetime(dt.UTC) >= task.eta.ToDatetime(dt.UTC)

    busy = run(monitor, "sleep", args_json="[2]")
    in_state(monitor, busy.task, pb.TASK_STATE_STARTED)
    soon = at(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1))
    late = run(monitor, "add", args_json="[1, 2]", expires=soon)
    expired = in_state(monitor, late.task, pb.TASK_STATE_REVOKED)
    assert expired.revocation == pb.REVOCATION_EXPIRED


def test_a_repeated_request_runs_the_task_once(monitor: Monitor) -> None:
    how = {"args_json": "[7, 7]", "request_id": "once"}
    first = run(monitor, "add", **how)
    in_state(monitor, first.task, pb.TASK_STATE_SUCCESS)
    assert run(monitor, "add", **how).task == first.task
    other = pb.RunTaskRequest(task_name="add", args_json="[8, 8]", request_id="once")
    assert fields_at_fault(monitor.tasks.RunTask, other) == ["request_id"]
    found = monitor.tasks.ListTasks(pb.ListTasksRequest(text="(7, 7)")).tasks
    assert [each.name for each in found] == [first.task]


def test_a_name_that_no_worker_has_is_refused_with_the_nearest(monitor: Monitor) -> None:
    reason, text = refusal(monitor, "retry_and_succeed")
    assert reason == "TASK_NAME_NOT_FOUND"
    assert "'retry_then_succeed'" in text
    reason, text = refusal(monitor, "add", queue="queues/nobody")
    assert reason == "QUEUE_WITHOUT_CONSUMER"
    assert "'celery', 'other'" in text


def test_everything_that_is_wrong_with_a_run_is_told(monitor: Monitor) -> None:
    now = dt.datetime.now(dt.UTC)
    request = pb.RunTaskRequest(queue="celery", priority=-1, expires=at(now), countdown={"seconds": -1})
    fields = ["task_name", "countdown", "expires", "queue", "priority"]
    assert fields_at_fault(monitor.tasks.RunTask, request) == fields
    for wrong in ({"args_json": "{}"}, {"args_json": "[1"}, {"kwargs_json": "[]"}):
        request = pb.RunTaskRequest(task_name="add", **wrong)  # type: ignore[arg-type]
        assert fields_at_fault(monitor.tasks.RunTask, request) == list(wrong)
    both = pb.RunTaskRequest(task_name="add", eta=at(now), countdown={"seconds": 1})
    assert fields_at_fault(monitor.tasks.RunTask, both) == ["countdown"]


def test_times_too_far_from_now_for_a_workers_clock_are_named(monitor: Monitor) -> None:
    first, last = dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, 23, 30, tzinfo=dt.UTC)
    for eta in (first, last):
        request = pb.RunTaskRequest(task_name="add", eta=at(eta), expires=at(last), validate_only=True)
        assert fields_at_fault(monitor.tasks.RunTask, request) == ["eta", "expires"]


def test_a_task_has_a_link_to_its_log_lines(monitor: Monitor) -> None:
    """It has the id of the request that had the task sent, as the event of its sending tells it."""
    stub = tasks_pb2_grpc.TaskServiceStub(monitor.channel)
    tasks: Any = Caller(stub, monitor.token, request_id="ticket-4711")
    name = tasks.RunTask(pb.RunTaskRequest(task_name="add", args_json="[1, 2]", queue="queues/other")).task
    task = in_state(monitor, name, pb.TASK_STATE_SUCCESS)
    task_id = name.removeprefix("tasks/")
    assert task.log_link == f"https://logs.example.com/of/{task_id}?name=add&q=other&by=ticket-4711"
    # Lists have none: it is of a task that somebody looks at.
    listed = monitor.tasks.ListTasks(pb.ListTasksRequest()).tasks
    assert {each.log_link for each in listed} == {""}
