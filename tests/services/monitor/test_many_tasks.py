"""Retrying and revoking all tasks that match a filter, on real workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.operations.v1 import operations_pb2
from celery import Celery

from tests.support.calls import eventually, fields_at_fault, reason_of
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

FAILURE = [pb.TASK_STATE_FAILURE]
DONE, CANCELLED = operations_pb2.OPERATION_STATE_DONE, operations_pb2.OPERATION_STATE_CANCELLED


@pytest.fixture(scope="module")
def monitor_settings(broker: Valkey) -> Mapping[str, str]:
    return {"CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1"}


@pytest.fixture(scope="module", autouse=True)
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    queues = "celery,retried,cancelled,revoked"
    with running_worker(broker, tmp_path_factory.mktemp("worker"), queues=queues, concurrency=2) as worker:
        monitor.await_worker(worker.name)
        yield worker


def listed(monitor: Monitor, queue: str, *states: pb.TaskState | int) -> list[pb.Task]:
    request = pb.ListTasksRequest(queues=[f"queues/{queue}"], states=states, page_size=1000)  # type: ignore[arg-type]
    return list(monitor.tasks.ListTasks(request).tasks)


def await_count(monitor: Monitor, queue: str, state: pb.TaskState | int, count: int) -> None:
    eventually(lambda: len(listed(monitor, queue, state)) == count)


def retry(monitor: Monitor, queue: str, **how: Any) -> pb.RetryTasksResponse:
    request = pb.RetryTasksRequest(filter=pb.TaskFilter(queues=[f"queues/{queue}"]), **how)
    answer: pb.RetryTasksResponse = monitor.tasks.RetryTasks(request)
    return answer


def revoke(monitor: Monitor, queue: str, **how: Any) -> pb.RevokeTasksResponse:
    request = pb.RevokeTasksRequest(filter=pb.TaskFilter(queues=[f"queues/{queue}"]), **how)
    answer: pb.RevokeTasksResponse = monitor.tasks.RevokeTasks(request)
    return answer


def ended(monitor: Monitor, name: str) -> operations_pb2.Operation:
    request = operations_pb2.WaitOperationRequest(name=name)
    operation: operations_pb2.Operation = monitor.operations.WaitOperation(request).operation
    return operation


def refused_for(call: Any, *args: Any, **how: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **how)
    return reason_of(caught.value)


def test_all_that_failed_are_retried_once_and_the_others_are_told_by_reason(
    monitor: Monitor, app: Celery
) -> None:
    for number in range(5):
        app.send_task("fail", [f"nr {number}"], queue="retried")
    app.send_task("fail", ["x" * 2000], queue="retried")
    app.send_task("add", [1, 2], queue="retried")
    await_count(monitor, "retried", pb.TASK_STATE_FAILURE, 6)
    await_count(monitor, "retried", pb.TASK_STATE_SUCCESS, 1)

    seen = retry(monitor, "retried", validate_only=True)
    assert (seen.operation, seen.matched_count, seen.retryable_count) == ("", 6, 5)
    assert [(each.source, each.count) for each in seen.sources] == [(pb.ARGUMENT_SOURCE_EVENT, 5)]
    (refusal,) = seen.refusals
    assert (refusal.reason, refusal.count) == ("ARGUMENTS_UNKNOWN", 1)
    assert "result_extended" in refusal.message and refusal.example.startswith("tasks/")
    assert refused_for(retry, monitor, "retried", expected_count=4) == "COUNT_CHANGED"

    begun = retry(monitor, "retried", expected_count=6, rate=100, request_id="r-1")
    assert retry(monitor, "retried", expected_count=6, rate=100, request_id="r-1") == begun
    operation = ended(monitor, begun.operation)
    assert (operation.state, operation.total, operation.done, operation.failed) == (DONE, 5, 5, 0)
    assert (operation.kind, operation.owner, operation.actor) == ("retry_tasks", "monitor", "mei")
    await_count(monitor, "retried", pb.TASK_STATE_FAILURE, 11)
    # The first were shown as a list, as they were sent with one.
    shown = (task.args.strip("[](),") for task in listed(monitor, "retried", pb.TASK_STATE_FAILURE))
    tried = Counter(shown)
    assert sorted(tried.values()) == [1, 2, 2, 2, 2, 2]
    # The retries failed as well, and can be retried; what was retried can't be again.
    again = retry(monitor, "retried", validate_only=True)
    assert (again.retryable_count, {each.reason: each.count for each in again.refusals}) == (
        5,
        {"TASK_RETRIED": 5, "ARGUMENTS_UNKNOWN": 1},
    )


def test_tasks_of_which_nothing_tells_the_queue_are_retried_on_the_one_that_is_named(
    monitor: Monitor, app: Celery
) -> None:
    """As those of an application without task-sent events whose workers consume several queues."""
    with Celery(broker=app.conf.broker_url, set_as_current=False) as silent:
        silent.send_task("fail", ["unheard"], queue="cancelled")
    wanted = pb.TaskFilter(text="unheard")

    def failed() -> list[pb.Task]:
        return list(monitor.tasks.ListTasks(pb.ListTasksRequest(text="unheard", states=FAILURE)).tasks)

    (task,) = eventually(failed)
    assert task.queue == ""
    looking = pb.RetryTasksRequest(filter=wanted, validate_only=True)
    seen = monitor.tasks.RetryTasks(looking)
    assert [(each.reason, "fallback_queue" in each.message) for each in seen.refusals] == [
        ("QUEUE_UNKNOWN", True)
    ]
    looking.fallback_queue = "queues/retried"
    assert monitor.tasks.RetryTasks(looking).retryable_count == 1
    asked = pb.RetryTasksRequest(filter=wanted, expected_count=1, fallback_queue="queues/retried")
    assert ended(monitor, monitor.tasks.RetryTasks(asked).operation).done == 1
    eventually(lambda: len(failed()) == 2)
    name = monitor.tasks.GetTask(pb.GetTaskRequest(name=task.name)).task.retried_as
    again = monitor.tasks.GetTask(pb.GetTaskRequest(name=name)).task
    assert (again.queue, again.state) == ("queues/retried", pb.TASK_STATE_FAILURE)


def test_a_cancelled_operation_sends_no_more_and_what_it_left_can_be_retried(
    monitor: Monitor, app: Celery
) -> None:
    for number in range(20):
        app.send_task("fail", [f"nr {number}"], queue="cancelled")
    await_count(monitor, "cancelled", pb.TASK_STATE_FAILURE, 20)
    begun = retry(monitor, "cancelled", expected_count=20, rate=1)
    name = begun.operation

    def done() -> int:
        request = operations_pb2.GetOperationRequest(name=name)
        return int(monitor.operations.GetOperation(request).operation.done)

    eventually(done)
    monitor.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=name))
    operation = ended(monitor, name)
    assert operation.state == CANCELLED
    assert 1 <= operation.done < 20

    def left() -> int:
        refusals = {
            each.reason: each.count for each in retry(monitor, "cancelled", validate_only=True).refusals
        }
        return refusals.get("TASK_RETRIED", 0)

    assert eventually(lambda: left() == done())


def test_all_that_wait_are_revoked_by_one_command(monitor: Monitor, app: Celery, broker: Valkey) -> None:
    running = [app.send_task("sleep", [60], queue="revoked").id for _ in range(2)]
    await_count(monitor, "revoked", pb.TASK_STATE_STARTED, 2)
    waiting = [app.send_task("add", [number, 1], queue="revoked").id for number in range(300)]
    eventually(lambda: len(listed(monitor, "revoked")) == 302)
    seen = revoke(monitor, "revoked", validate_only=True)
    assert (seen.matched_count, list(seen.replies)) == (302, [])
    assert refused_for(revoke, monitor, "revoked", expected_count=301, terminate=True) == "COUNT_CHANGED"
    assert len(listed(monitor, "revoked", pb.TASK_STATE_STARTED)) == 2

    answer = revoke(monitor, "revoked", expected_count=302, terminate=True, signal="SIGKILL")
    assert answer.matched_count == 302
    (reply,) = answer.replies
    assert reply.outcome == pb.WORKER_OUTCOME_DONE
    await_count(monitor, "revoked", pb.TASK_STATE_REVOKED, 302)
    assert {task.name for task in listed(monitor, "revoked")} == {
        f"tasks/{each}" for each in running + waiting
    }
    assert not [task for task in listed(monitor, "revoked") if task.result]
    # All have ended: there is nothing left to revoke.
    assert revoke(monitor, "revoked", expected_count=0).matched_count == 0


def test_everything_that_is_wrong_is_told(monitor: Monitor) -> None:
    wrong = pb.TaskFilter(task_names=[""], queues=["celery"])
    retried = pb.RetryTasksRequest(filter=wrong, rate=-1, validate_only=True)
    assert fields_at_fault(monitor.tasks.RetryTasks, retried) == [
        "filter.task_names[0]",
        "filter.queues[0]",
        "rate",
    ]
    unseen = pb.RetryTasksRequest(filter=pb.TaskFilter(queues=["queues/celery"]))
    assert fields_at_fault(monitor.tasks.RetryTasks, unseen) == ["expected_count"]
    over = pb.TaskFilter(states=[pb.TASK_STATE_SUCCESS])
    revoked = pb.RevokeTasksRequest(signal="SIGTERM", filter=over)
    assert fields_at_fault(monitor.tasks.RevokeTasks, revoked) == [
        "filter.states",
        "signal",
        "expected_count",
    ]
