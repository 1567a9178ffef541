"""Tasks of a worker that was killed: what nobody has any more is ORPHANED, until it is heard of again."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import workers_pb2
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.event_streams import publish_events
from tests.support.events import Life, heartbeat
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


def delete_once_silent(monitor: Monitor, worker: str, started: str) -> None:
    """`started`: a task that it runs, which is shown so until then."""
    name = f"workers/{worker}"
    request = workers_pb2.GetWorkerRequest(name=name)
    eventually(lambda: monitor.workers.GetWorker(request).worker.state == workers_pb2.WORKER_STATE_SILENT)
    assert shown(monitor, started).state == pb.TASK_STATE_STARTED
    monitor.workers.DeleteWorker(workers_pb2.DeleteWorkerRequest(name=name))


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
        delete_once_silent(monitor, f"{worker.name}~{worker.process.pid}", early)
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


def test_of_a_worker_that_stood_still_the_task_that_it_runs_is_started_again_once_it_goes_on(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    """Its pool has run the task all the time, and the message was acknowledged before."""
    with running_worker(broker, tmp_path, name="still@test", concurrency=1, options=OPTIONS) as worker:
        monitor.await_worker("still@test")
        task_id = app.send_task("sleep", [600], **FORGETFUL).id
        begun = await_state(monitor, task_id, pb.TASK_STATE_STARTED)
        worker.process.send_signal(signal.SIGSTOP)
        delete_once_silent(monitor, f"{worker.name}~{worker.process.pid}", task_id)
        await_state(monitor, task_id, pb.TASK_STATE_ORPHANED)
        worker.process.send_signal(signal.SIGCONT)
        again = await_state(monitor, task_id, pb.TASK_STATE_STARTED)
        assert (again.worker, again.state_reason) == (begun.worker, "")
        worker.kill()
        delete_once_silent(monitor, f"{worker.name}~{worker.process.pid}", task_id)


def test_an_orphan_is_found_behind_more_tasks_that_wait_than_are_read_at_a_time(
    monitor: Monitor, broker: Valkey
) -> None:
    """Those are newer, as where the worker that was killed held many tasks until their time."""
    at, hostname = time.time() - 5, "full@test"
    orphan = Life(at - 10, "an orphan behind many", queue="full", hostname=hostname)
    waiting = [Life(at, f"waits {number}", queue="full", hostname=hostname) for number in range(2_300)]
    publish_events(broker, [orphan.sent(), orphan.received(), orphan.started()])
    with redis.Redis(broker.host, broker.port) as client:
        client.sadd("_kombu.binding.full", "full\x06\x16\x06\x16full")
        client.lpush("full", *(json.dumps({"headers": {"id": life.id}}) for life in waiting))
        for first in range(0, len(waiting), 100):
            some = waiting[first : first + 100]
            publish_events(broker, [event for life in some for event in (life.sent(), life.received())])
        await_state(monitor, waiting[-1].id, pb.TASK_STATE_RECEIVED)
        publish_events(broker, heartbeat(time.time(), 1, "worker-offline", hostname=hostname))
        # Those killed before are waited for until they are gone.
        await_state(monitor, orphan.id, pb.TASK_STATE_ORPHANED, 60.0)
        assert {shown(monitor, life.id).state for life in waiting[::500]} == {pb.TASK_STATE_RECEIVED}
        client.delete("full")
