"""The queue of a task whose sender sends no task-sent event, as that is Celery's default."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import celery_app, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

ONE, TWO = "one@queues", "two@queues"


@pytest.fixture(scope="module")
def app(broker: Valkey) -> Iterator[Celery]:
    app = celery_app(broker.host, broker.port)
    app.conf.task_send_sent_event = False
    yield app
    app.close()


@pytest.fixture(scope="module", autouse=True)
def workers(broker: Valkey, monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("workers")
    with (
        running_worker(broker, folder, queues="only", name=ONE),
        running_worker(broker, folder, queues="alpha,beta", name=TWO),
    ):
        eventually(lambda: queues_of(monitor, ONE) == ["queues/only"])
        eventually(lambda: queues_of(monitor, TWO) == ["queues/alpha", "queues/beta"])
        yield


def queues_of(monitor: Monitor, hostname: str) -> list[str]:
    return [queue for worker in monitor.online(hostname) for queue in worker.queues]


def task(monitor: Monitor, task_id: str) -> pb.Task | None:
    try:
        found: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return None
    return found


def ended(monitor: Monitor, app: Celery, queue: str) -> pb.Task:
    task_id = str(app.send_task("add", args=(1, 2), queue=queue).id)

    def succeeded() -> pb.Task | None:
        found = task(monitor, task_id)
        return found if found is not None and found.state == pb.TASK_STATE_SUCCESS else None

    found: pb.Task = eventually(succeeded)
    return found


def test_it_is_the_only_queue_of_its_worker(monitor: Monitor, app: Celery) -> None:
    assert ended(monitor, app, "only").queue == "queues/only"


def test_of_a_worker_with_two_queues_it_is_not_known(monitor: Monitor, app: Celery) -> None:
    """Tasks under a wrong queue: celery-exporter #382."""
    assert ended(monitor, app, "beta").queue == ""


def test_of_a_worker_that_was_told_to_consume_another_queue_too_no_task_stays_under_the_first(
    monitor: Monitor, app: Celery
) -> None:
    assert app.control.add_consumer("new", destination=[ONE], reply=True, timeout=20, limit=1)
    of_new = ended(monitor, app, "new")
    eventually(lambda: queues_of(monitor, ONE) == ["queues/new", "queues/only"])

    def unknown() -> bool:
        found = task(monitor, of_new.name.removeprefix("tasks/"))
        return found is not None and found.queue == ""

    eventually(unknown)
    assert ended(monitor, app, "only").queue == ""
    app.control.cancel_consumer("new", destination=[ONE], reply=True, timeout=20, limit=1)
    eventually(lambda: queues_of(monitor, ONE) == ["queues/only"])
    assert ended(monitor, app, "only").queue == "queues/only"
