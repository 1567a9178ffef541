"""The attempts of a task, as GetTask tells them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import Worker, running_worker
from tests.support.event_streams import publish_events
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

RETRIED, SUCCEEDED, LEFT = pb.ATTEMPT_END_RETRIED, pb.ATTEMPT_END_SUCCEEDED, pb.ATTEMPT_END_LEFT


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), concurrency=2) as worker:
        monitor.await_worker(worker.name)
        yield worker


def attempts_of(monitor: Monitor, task_id: str, state: pb.TaskState | int) -> list[pb.TaskAttempt]:
    """Those of the task, once it is in the state."""

    def there() -> pb.Task | None:
        try:
            task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
        except grpc.RpcError:
            return None
        return task if task.state == state else None

    return list(eventually(there).attempts)


def test_each_attempt_of_a_task_that_is_retried_is_told(
    monitor: Monitor, app: Celery, worker: Worker
) -> None:
    (name,) = (each.name for each in monitor.online(worker.name))
    task_id = str(app.send_task("retry_then_succeed", [2]).id)
    attempts = attempts_of(monitor, task_id, pb.TASK_STATE_SUCCESS)
    assert [(each.retries, each.end, each.exception_message) for each in attempts] == [
        (0, RETRIED, "try 0"),
        (1, RETRIED, "try 1"),
        (2, SUCCEEDED, ""),
    ]
    assert {(each.queue, each.worker) for each in attempts} == {("queues/celery", name)}
    for each in attempts:
        times = each.received_time, each.started_time, each.end_time
        seconds = [moment.ToMicroseconds() for moment in times]
        assert 0 < seconds[0] <= seconds[1] <= seconds[2]


def test_the_newest_attempts_are_kept_however_often_the_task_was_written(
    monitor: Monitor, broker: Valkey
) -> None:
    """More attempts than are kept come in several writings, so that rows are merged."""
    life = Life(time.time() - 60)
    for retries in range(30):
        events = [life.received(retries), life.started(), life.retried(f"ValueError('{retries}')")]
        publish_events(broker, *events)
        if retries % 7 == 0:
            eventually(lambda: attempts_of(monitor, life.id, pb.TASK_STATE_RETRY)[-1].retries == retries)  # noqa: B023
    eventually(lambda: attempts_of(monitor, life.id, pb.TASK_STATE_RETRY)[-1].retries == 29)
    told = [
        (each.retries, each.exception_message) for each in attempts_of(monitor, life.id, pb.TASK_STATE_RETRY)
    ]
    assert told == [(retries, str(retries)) for retries in range(10, 30)]


def test_a_task_that_is_delivered_again_has_an_attempt_that_was_left(
    monitor: Monitor, broker: Valkey
) -> None:
    life = Life(time.time() - 60)
    publish_events(broker, life.received(), life.started())
    (alone,) = attempts_of(monitor, life.id, pb.TASK_STATE_STARTED)
    assert (alone.end, alone.HasField("end_time")) == (pb.ATTEMPT_END_UNSPECIFIED, False)
    publish_events(broker, life.received())
    left, newest = attempts_of(monitor, life.id, pb.TASK_STATE_RECEIVED)
    assert (left.end, left.HasField("started_time"), left.received_time) == (LEFT, True, alone.received_time)
    assert not newest.HasField("started_time")
