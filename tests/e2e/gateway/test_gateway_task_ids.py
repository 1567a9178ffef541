"""Any task id through the gateway: by gRPC always; by REST in the path, or beside it where it can't be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from celeriac.monitor.v1 import tasks_pb2, tasks_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.celery_workers import Worker, running_worker
from tests.support.event_streams import publish
from tests.support.events import CHANNEL, Life, event_message, heartbeat
from tests.support.gateway import Answer, Gateway, running_gateway
from tests.support.monitors import Monitor, running_monitor
from tests.support.odd_names import IN_PATHS, NOT_IN_PATHS, ODD_NAMES
from tests.support.servers import Valkey, create_migrated_database, temporary_valkey


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def monitor(certificates: Path, tokens: LocalIssuer, postgres_url: str, broker: Valkey) -> Iterator[Monitor]:
    url = asyncio.run(create_migrated_database(postgres_url))
    with running_monitor(certificates, tokens, url, broker) as monitor:
        yield monitor


@pytest.fixture(scope="module")
def door(certificates: Path, monitor: Monitor, broker: Valkey) -> Iterator[Gateway]:
    """A gateway before a monitor that knows a task of each name."""
    publish(broker, *(Life(time.time(), task_id=name) for name in ODD_NAMES))
    request = tasks_pb2.BatchGetTasksRequest(names=[f"tasks/{name}" for name in ODD_NAMES])
    eventually(lambda: len(monitor.tasks.BatchGetTasks(request).tasks) == len(ODD_NAMES))
    # Their worker leaves: a command would wait for its answer.
    with redis.Redis(broker.host, broker.port) as client:
        client.publish(CHANNEL, event_message(heartbeat(time.time() + 1, 0, "worker-offline")))
    eventually(lambda: not monitor.online("celery@host"))
    port = int(monitor.process.address.rpartition(":")[2])
    with running_gateway(certificates, {"monitor": port}) as running:
        yield running


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker")) as worker:
        monitor.await_worker(worker.name)
        yield worker


def in_path(name: str) -> str:
    """The id as a client encodes it for a path."""
    return quote(name, safe="")


def is_of(answer: Answer, name: str) -> bool:
    return answer.status == 200 and answer.json.get("task", {}).get("name") == f"tasks/{name}"


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_by_grpc_every_id_is_found(door: Gateway, admin: str, name: str) -> None:
    with door.channel(admin) as channel:
        stub = tasks_pb2_grpc.TaskServiceStub(channel)
        request = tasks_pb2.GetTaskRequest(name=f"tasks/{name}")
        assert stub.GetTask(request, timeout=20).task.name == request.name


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_by_rest_every_id_is_found_as_a_parameter(door: Gateway, admin: str, name: str) -> None:
    assert is_of(door.rest("GET", f"/v1/tasks:get?name=tasks/{in_path(name)}", token=admin), name)
    assert is_of(door.rest("GET", f"/v1/tasks:get?name={in_path('tasks/' + name)}", token=admin), name)


@pytest.mark.parametrize("name", IN_PATHS, ids=ascii)
def test_by_rest_these_are_found_in_the_path(door: Gateway, admin: str, name: str) -> None:
    assert is_of(door.rest("GET", f"/v1/tasks/{in_path(name)}", token=admin), name)


@pytest.mark.parametrize("name", NOT_IN_PATHS, ids=ascii)
def test_by_rest_these_are_not_found_in_the_path_and_no_other_task_is(
    door: Gateway, admin: str, name: str
) -> None:
    answer = door.rest("GET", f"/v1/tasks/{in_path(name)}", token=admin)
    assert answer.status != 200 or "task" not in answer.json, answer


def test_by_rest_a_colon_that_is_not_encoded_begins_a_verb(door: Gateway, admin: str) -> None:
    answer = door.rest("GET", "/v1/tasks/a:get", token=admin)
    assert answer.status == 404, answer


@pytest.mark.parametrize("name", IN_PATHS, ids=ascii)
def test_by_rest_these_are_revoked_by_their_path(
    door: Gateway, worker: Worker, admin: str, name: str
) -> None:
    """Each has ended, and the refusal names it."""
    answer = door.rest("POST", f"/v1/tasks/{in_path(name)}:revoke", {}, admin)
    assert (answer.status, answer.json["details"][0]["reason"]) == (400, "TASK_ENDED")
    assert repr(name) in answer.json["message"]


def test_by_rest_every_id_is_revoked(door: Gateway, worker: Worker, admin: str) -> None:
    for name in ODD_NAMES:
        # Like the name, and of no task that has ended.
        task_id = f"{name[:-1]}r" if len(name.encode()) > 1000 else f"{name}r"
        answer = door.rest("POST", "/v1/tasks:revoke", {"name": f"tasks/{task_id}"}, admin)
        assert answer.status == 200, (name, answer)
        (reply,) = answer.json["replies"]
        assert reply["outcome"] == "WORKER_OUTCOME_FLAGGED"
        assert reply["worker"] == f"workers/{worker.name}~{worker.process.pid}"


def test_a_worker_is_found_in_the_path_and_beside_it(door: Gateway, worker: Worker, admin: str) -> None:
    name = f"{worker.name}~{worker.process.pid}"
    for path in (
        f"/v1/workers/{name}",
        f"/v1/workers/{in_path(name)}",
        f"/v1/workers:get?name=workers/{name}",
    ):
        answer = door.rest("GET", path, token=admin)
        assert answer.json["worker"]["name"] == f"workers/{name}"
