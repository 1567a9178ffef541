"""Tasks of a worker that was killed: what nobody has any more is ORPHANED, until it is heard of again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import workers_pb2
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.metrics import scraped
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

# Silent after three beats; an operator then says that it is gone, which otherwise takes thirty.
OPTIONS = ("--events", "--heartbeat-interval=1")
FORGETFUL: dict[str, Any] = {"ignore_result": True}


def shown(monitor: Monitor, task_id: str) -> pb.Task:
    try:
        task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
    except grpc.RpcError:
        return pb.Task()
    return task


def await_state(monitor: Monitor, task_id: str, state: pb.TaskState, seconds: float = 30.0) -> pb.Task:
    eventually(lambda: shown(monitor, task_id).state == state, seconds)
    return shown(monitor, task_id)


def restore(app: Celery) -> None:
    """As a worker of the application does when the visibility timeout is over."""
    with app.connection_for_read() as connection:
        channel: Any = connection.channel()
        channel.qos.unacked_mutex_expire = 1
        channel.visibility_timeout = 0
        channel.qos.visibility_timeout = 0
        channel.qos.restore_visible(num=10)


@pytest.fixture
def orphaned(monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """The ids of three tasks whose worker was killed: it ran the first two and held the third; it had
    acknowledged the first one only."""
    with running_worker(broker, tmp_path, name="killed@test", concurrency=2, options=OPTIONS) as worker:
        monitor.await_worker("killed@test")
        early = app.send_task("sleep", [600], **FORGETFUL).id
        late = app.send_task("sleep_late", [600], **FORGETFUL).id
        await_state(monitor, early, pb.TASK_STATE_STARTED)
        await_state(monitor, late, pb.TASK_STATE_STARTED)
        held = app.send_task("add", [1, 2]).id
        await_state(monitor, held, pb.TASK_STATE_RECEIVED)
        worker.kill()
        name = f"workers/{worker.name}~{worker.process.pid}"
        request = workers_pb2.GetWorkerRequest(name=name)
        eventually(lambda: monitor.workers.GetWorker(request).worker.state == workers_pb2.WORKER_STATE_SILENT)
        assert shown(monitor, early).state == pb.TASK_STATE_STARTED
        monitor.workers.DeleteWorker(workers_pb2.DeleteWorkerRequest(name=name))
        await_state(monitor, early, pb.TASK_STATE_ORPHANED)
        yield early, late, held


def test_of_the_tasks_of_a_killed_worker_those_that_nobody_has_are_orphaned_until_they_are_heard_of_again(
    monitor: Monitor, app: Celery, broker: Valkey, orphaned: tuple[str, str, str], tmp_path: Path
) -> None:
    """What the worker had not acknowledged is delivered again, so it is not orphaned.

    Tasks stuck in received or started: flower #1428, #869, #322.
    """
    early, late, held = orphaned
    task = shown(monitor, early)
    assert "its worker is gone" in task.state_reason and not task.HasField("end_time")
    assert task.worker.startswith("workers/killed@test~")
    listed = monitor.tasks.ListTasks(pb.ListTasksRequest(states=[pb.TASK_STATE_ORPHANED])).tasks
    assert [each.name for each in listed] == [f"tasks/{early}"]
    counted = 'celery_tasks_total{queue="celery",status="ORPHANED"} 1.0'
    assert counted in scraped(monitor.metrics_port).splitlines()
    assert shown(monitor, late).state == pb.TASK_STATE_STARTED
    assert shown(monitor, held).state == pb.TASK_STATE_RECEIVED

    app.send_task("sleep", [600], task_id=early, **FORGETFUL)
    restore(app)
    with running_worker(broker, tmp_path, name="next@test", concurrency=2, options=OPTIONS) as worker:
        await_state(monitor, held, pb.TASK_STATE_SUCCESS)
        for task_id in (early, late):
            eventually(lambda each=task_id: shown(monitor, each).worker.startswith("workers/next@test~"))
            again = await_state(monitor, task_id, pb.TASK_STATE_STARTED)
            assert again.state_reason == ""
        worker.kill()
