"""An application with a prefix of its keys on the broker (`global_keyprefix`); two workers on one machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from celeriac.monitor.v1 import queues_pb2
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import celery_app, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

PREFIX = "shop."


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_BROKER_KEY_PREFIX": PREFIX, "CELERIAC_RESULT_KEY_PREFIX": PREFIX}


@pytest.fixture(scope="module")
def app(broker: Valkey) -> Iterator[Celery]:
    app = celery_app(broker.host, broker.port, PREFIX)
    yield app
    app.close()


def shown(monitor: Monitor, task_id: str) -> pb.Task:
    try:
        task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
    except grpc.RpcError:
        return pb.Task()
    return task


def test_tasks_queues_and_commands_go_by_the_prefix(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    """A broker with global_keyprefix: flower #1254."""
    with running_worker(broker, tmp_path, name="prefixed@test", prefix=PREFIX) as worker:
        monitor.await_worker(worker.name)
        done, runs = app.send_task("add", [1, 2]).id, app.send_task("sleep", [600]).id
        app.send_task("add", [1, 2], queue="waits")
        eventually(lambda: shown(monitor, done).state == pb.TASK_STATE_SUCCESS)
        eventually(lambda: shown(monitor, runs).state == pb.TASK_STATE_STARTED)
        listed = monitor.queues.ListQueues(queues_pb2.ListQueuesRequest()).queues
        assert {queue.name: queue.length for queue in listed}["queues/waits"] == 1
        assert shown(monitor, done).stored_state == "SUCCESS"
        revoking = pb.RevokeTaskRequest(name=f"tasks/{runs}", terminate=True)
        (reply,) = monitor.tasks.RevokeTask(revoking).replies
        assert reply.outcome == pb.WORKER_OUTCOME_DONE
        eventually(lambda: shown(monitor, runs).state == pb.TASK_STATE_REVOKED)


def test_two_workers_of_one_machine_are_told_apart(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    """All workers of a host under one label: celery-exporter #385."""
    names = ("first@host", "second@host")
    with (
        running_worker(broker, tmp_path, name=names[0], queues="first", prefix=PREFIX),
        running_worker(broker, tmp_path, name=names[1], queues="second", prefix=PREFIX),
    ):
        workers = {name: monitor.await_worker(name)[0].name for name in names}
        sent = [app.send_task("add", [1, 2], queue=queue).id for queue in ("first", "second", "second")]
        for task_id in sent:
            eventually(lambda each=task_id: shown(monitor, each).state == pb.TASK_STATE_SUCCESS)
        assert [shown(monitor, task_id).worker for task_id in sent] == [
            workers[names[0]],
            workers[names[1]],
            workers[names[1]],
        ]
        counts = {name: monitor.online(name)[0].started_heard for name in names}
        assert counts == {names[0]: 1, names[1]: 2}
