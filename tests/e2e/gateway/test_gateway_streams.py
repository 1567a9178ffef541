"""Streams through the gateway, both ways; and the monitor as the one that answers for the whole system."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.embedder.v1 import messages_pb2, messages_pb2_grpc
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually, refused
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey

# All four services start within the first test's time.
pytestmark = pytest.mark.timeout(420)
# Figures five times a second, so that the second line is soon there.
WATCH = "/v1/events:watch?metrics_interval=0.2s"
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def embedder(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> Iterator[ServiceProcess]:
    environment = environment_of("embedder", certificates, database_url, valkey)
    with running_service("embedder", certificates, environment, "tests.support.bigram_embedder") as process:
        yield process


@pytest.fixture(scope="module")
def monitor(
    certificates: Path, services: Services, embedder: ServiceProcess, database_url: str, valkey: Valkey
) -> Iterator[ServiceProcess]:
    """On the embedder's database."""
    environment = environment_of(
        "monitor",
        certificates,
        database_url,
        valkey,
        CELERIAC_SCHEDULER_ADDRESS=services.scheduler.address,
        CELERIAC_EMBEDDER_ADDRESS=embedder.address,
        CELERIAC_AUDIT_ADDRESS=services.audit.address,
    )
    with running_service("monitor", certificates, environment) as process:
        yield process


@pytest.fixture(scope="module")
def whole(
    certificates: Path, services: Services, embedder: ServiceProcess, monitor: ServiceProcess
) -> Iterator[Gateway]:
    """A gateway before all four services."""
    more = {"embedder": embedder, "monitor": monitor}
    ports = {name: int(service.address.rpartition(":")[2]) for name, service in more.items()}
    with running_gateway(certificates, services.ports | ports) as running:
        yield running


@contextlib.contextmanager
def reading(gateway: Gateway, path: str, token: str, accept: str) -> Iterator[http.client.HTTPResponse]:
    """An HTTP answer that is read while it is still being written."""
    context = ssl.create_default_context(cafile=gateway.ca)
    connection = http.client.HTTPSConnection("127.0.0.1", gateway.port, context=context, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"authorization": f"Bearer {token}", "accept": accept})
        yield connection.getresponse()


def test_a_stream_over_rest_is_one_json_object_a_line(whole: Gateway, admin: str) -> None:
    with reading(whole, WATCH, admin, "*/*") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        first, second = (json.loads(answer.readline()) for _ in range(2))
    assert "online_workers" in first["metrics"]
    assert first["metrics"]["time"] < second["metrics"]["time"]


def test_a_stream_over_rest_is_events_for_who_asks_so(whole: Gateway, admin: str) -> None:
    with reading(whole, WATCH, admin, "text/event-stream") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        first, blank = answer.readline(), answer.readline()
    assert first.startswith(b"data: ")
    assert "metrics" in json.loads(first.removeprefix(b"data: "))
    assert blank == b"\n"


def test_a_refused_stream_is_told_as_any_other_call(whole: Gateway) -> None:
    with reading(whole, WATCH, "let.me.in", "text/event-stream") as answer:
        assert (answer.status, answer.headers["content-type"]) == (401, "application/json")
        assert json.loads(answer.read())["details"][0]["reason"] == "TOKEN_INVALID"


def test_a_stream_over_grpc_comes_as_it_goes(whole: Gateway, admin: str) -> None:
    with whole.channel(admin) as channel:
        stub = monitoring_pb2_grpc.MonitoringServiceStub(channel)
        request = monitoring_pb2.WatchEventsRequest(metrics_interval={"nanos": 200_000_000})
        watch = stub.WatchEvents(request, timeout=20)
        assert [next(watch).WhichOneof("event") for _ in range(2)] == ["metrics", "metrics"]
        watch.cancel()


def test_what_one_service_began_another_tells_by_rest(
    whole: Gateway, admin: str, tokens: LocalIssuer
) -> None:
    viewer = tokens.mint("viewer", subject="lin")
    with reading(whole, "/v1/operations:watch?owners=embedder", viewer, "*/*") as changes:
        assert json.loads(changes.readline())["cursor"]
        begun = whole.rest("POST", "/v1/messages:embed", {"role": "MESSAGE_ROLE_ASSISTANT"}, token=admin)
        assert begun.status == 200, begun
        name = begun.json["operation"]["name"]
        assert json.loads(changes.readline())["operation"]["name"] == name
    found = whole.rest("GET", f"/v1/{name}", token=viewer).json["operation"]
    assert (found["owner"], found["actor"]) == ("embedder", "mei")
    assert found["metadata"] == {
        "force_rebuild": False,
        "role": "assistant",
        "min_length": 5,
        "model": "models/bigrams@1",
    }
    listed = whole.rest("GET", "/v1/operations?owners=embedder&owners=scheduler", token=viewer).json
    assert name in {operation["name"] for operation in listed["operations"]}
    assert whole.rest("POST", f"/v1/{name}:wait", {"timeout": "1s"}, token=viewer).json["operation"]
    assert whole.rest("POST", f"/v1/{name}:cancel", {}, token=viewer).status == 403
    assert whole.rest("POST", f"/v1/{name}:cancel", {}, token=admin).status == 200


def test_what_a_client_streams_may_be_longer_than_any_request(whole: Gateway, admin: str) -> None:
    """Six times 3 MB; the gateway's limit for one request is 8 MiB."""
    messages = [
        messages_pb2.Message(
            name=f"messages/long-{number}",
            conversation="conversations/long",
            role=messages_pb2.MESSAGE_ROLE_USER,
            text="長" * 33_000 + str(number),
        )
        for number in range(30)
    ]
    request = messages_pb2.IngestMessagesRequest(messages=messages)
    assert request.ByteSize() * 6 > 16 << 20
    with whole.channel(admin) as channel:
        stub = messages_pb2_grpc.MessageServiceStub(channel)
        answer = stub.IngestMessages(iter([request] * 6), timeout=60)
    assert answer.created == 30


def test_public_info_and_health_answer_without_a_token(whole: Gateway) -> None:
    eventually(lambda: whole.rest("GET", "/celery-admin/system/info").status == 200)
    with whole.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def serving(service: str) -> bool:
            try:
                request = health_pb2.HealthCheckRequest(service=service)
                return bool(health.Check(request, timeout=10).status == SERVING)
            except grpc.RpcError:
                return False

        for service in ("", "celeriac.scheduler.v1.ScheduleService", "celeriac.audit.v1.AuditService"):
            assert eventually(lambda service=service: serving(service)), service
        unknown = health_pb2.HealthCheckRequest(service="celeriac.ghost.v1.Ghost")
        code, _ = refused(lambda request: health.Check(request, timeout=10), unknown)
        assert code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("protocol", ["grpc", "grpcweb"])
def test_every_contract_is_found_by_reflection(protocol: str, whole: Gateway, admin: str) -> None:
    reflect = ("--reflect", "--reflect-header", f"Authorization: Bearer {admin}")

    def call(method: str) -> Any:
        return whole.buf(protocol, method, {"page_size": 1}, admin, *reflect)

    assert "code" not in call("/celeriac.scheduler.v1.ScheduleService/ListSchedules")
    assert "code" not in call("/celeriac.audit.v1.AuditService/ListRecords")
    assert "code" not in call("/celeriac.embedder.v1.MessageService/ListMessages")
    assert "code" not in call("/celeriac.monitor.v1.TaskService/ListTasks")
