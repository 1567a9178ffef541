"""What GetTask reads from the application's result backend."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping

import grpc
import pytest
import redis.asyncio
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from services.kernel.broker_address import BrokerAddress
from services.monitor.tasks.result_client import opened_results
from services.monitor.tasks.stored_meta import MOST_BYTES, NOTHING, StoredMetas
from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.monitors import Monitor
from tests.support.ports import free_port
from tests.support.servers import Valkey

WORKER = "plain@results"


@pytest.fixture(scope="module")
def monitor_settings(broker: Valkey) -> Mapping[str, str]:
    return {"CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1"}


@pytest.fixture(scope="module", autouse=True)
def worker(broker: Valkey, monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), name=WORKER, concurrency=2):
        monitor.await_worker(WORKER)
        yield


def got(monitor: Monitor, task_id: str) -> pb.Task | None:
    try:
        task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return None
    return task


def stored(monitor: Monitor, task_id: str, state: str) -> pb.Task:
    def task() -> pb.Task | None:
        found = got(monitor, task_id)
        return found if found is not None and found.stored_state == state else None

    found: pb.Task = eventually(task)
    return found


def test_a_state_that_a_task_only_stores_is_told(monitor: Monitor, app: Celery) -> None:
    task_id = str(app.send_task("tell", args=(60,)).id)
    task = stored(monitor, task_id, "PROGRESS")
    assert task.state != pb.TASK_STATE_SUCCESS
    app.control.revoke(task_id, terminate=True, destination=[WORKER])
    assert stored(monitor, task_id, "REVOKED").stored_state == "REVOKED"


def test_the_tasks_that_a_task_has_called_are_told(monitor: Monitor, app: Celery) -> None:
    task_id = str(app.send_task("spawn").id)
    task = stored(monitor, task_id, "SUCCESS")
    (child,) = task.children
    called = stored(monitor, child.removeprefix("tasks/"), "SUCCESS")
    assert (called.name, called.group_id, list(called.children)) == (child, "", [])


def test_the_group_of_a_task_is_told(monitor: Monitor, app: Celery) -> None:
    task_id = str(app.send_task("add", args=(1, 2), group_id="the-group").id)
    assert stored(monitor, task_id, "SUCCESS").group_id == "the-group"


def test_lists_do_not_read_results(monitor: Monitor) -> None:
    tasks = monitor.tasks.ListTasks(pb.ListTasksRequest()).tasks
    assert tasks and not any(task.stored_state or task.group_id or task.children for task in tasks)


async def test_a_backend_that_is_away_or_holds_something_else_tells_nothing(broker: Valkey) -> None:
    async with opened_results(BrokerAddress("127.0.0.1", free_port())) as away:
        assert await StoredMetas(away).of("t") == NOTHING
    async with redis.asyncio.Redis(host=broker.host, port=broker.port) as client:
        await client.set("myapp_celery-task-meta-json", '{"status": "SUCCESS"}')
        await client.set("myapp_celery-task-meta-pickle", pickle.dumps({"status": "SUCCESS"}))
        await client.set("myapp_celery-task-meta-large", '{"status": "' + "x" * MOST_BYTES + '"}')
        await client.hset("myapp_celery-task-meta-hash", "status", "SUCCESS")
    async with opened_results(BrokerAddress(broker.host, broker.port)) as results:
        here = StoredMetas(results, "myapp")
        found = {name: (await here.of(name)).state for name in ("json", "pickle", "large", "hash", "none")}
    assert found == {"json": "SUCCESS", "pickle": "", "large": "", "hash": "", "none": ""}
