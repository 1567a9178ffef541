"""What can be set of the gateway, and what it does for whom: limits, origins, sources, logs."""

from __future__ import annotations

import contextlib
import json
import signal
import ssl
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc
from cryptography.hazmat.primitives.asymmetric import ed25519

from deploy.envoy import GatewaySettings
from deploy.standalone.certificates import write_private
from deploy.standalone.tokens import LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually
from tests.support.gateway import Gateway, running_gateway

SERVICE = "/celeriac.scheduler.v1.ScheduleService"
ORIGIN = "https://ops.example.com"
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def strict(certificates: Path, services: Services) -> Iterator[Gateway]:
    """A gateway with one allowed origin, and little patience."""
    settings = GatewaySettings(rate=1, burst=5, cors_origins=(ORIGIN,), max_request_bytes=4096)
    with running_gateway(certificates, services.ports, settings, health_from="scheduler") as running:
        yield running


def test_who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is(
    strict: Gateway, tokens: LocalIssuer
) -> None:
    eager, other = tokens.mint("viewer", subject="eager"), tokens.mint("viewer", subject="other")
    answers = [strict.rest("GET", "/v1/schedules", token=eager) for _ in range(12)]
    assert [answer.status for answer in answers[:5]] == [200] * 5
    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert refused[0].json["code"] == Code.RESOURCE_EXHAUSTED.value[0]
    assert refused[0].json["details"][0]["reason"] == "RATE_LIMITED"
    assert int(refused[0].headers["retry-after"]) >= 1

    with strict.channel(eager) as channel:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failed:
            for _ in range(20):
                stub.ListSchedules(pb.ListSchedulesRequest(), timeout=10)
        assert failed.value.code() is Code.RESOURCE_EXHAUSTED
    assert strict.rest("GET", "/v1/schedules", token=other).status == 200


def test_who_has_no_name_is_limited_by_address(strict: Gateway) -> None:
    answers = [strict.rest("GET", "/celery-admin/system/info").status for _ in range(12)]
    assert 429 in answers


def test_the_limit_of_a_request_can_be_set(strict: Gateway, tokens: LocalIssuer) -> None:
    token = tokens.mint("admin", subject="talker")
    answer = strict.rest("POST", "/v1/schedules", {"schedule": {"description": "x" * 5000}}, token)
    assert (answer.status, answer.json["details"][0]["reason"]) == (413, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize("path", ["/v1/schedules", f"{SERVICE}/ListSchedules"])
def test_a_page_of_an_allowed_origin_may_ask_first_and_read_the_answer(
    path: str, strict: Gateway, tokens: LocalIssuer
) -> None:
    asked = strict.request(
        "OPTIONS",
        path,
        origin=ORIGIN,
        access_control_request_method="POST",
        access_control_request_headers="authorization,x-grpc-web",
    )
    assert asked.status == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in asked.headers["access-control-allow-headers"]
    if path.startswith("/v1"):
        verb, body, content = "GET", None, "application/json"
    else:
        verb, body, content = "POST", b"\0" * 5, "application/grpc-web"
    token = tokens.mint("viewer", subject=path)
    answer = strict.request(verb, path, body, token, origin=ORIGIN, content_type=content)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "grpc-status" in answer.headers["access-control-expose-headers"]


def test_a_page_of_another_origin_may_not(strict: Gateway, gateway: Gateway) -> None:
    for door in (strict, gateway):
        asked = door.request(
            "OPTIONS",
            f"{SERVICE}/ListSchedules",
            origin="https://evil.example",
            access_control_request_method="POST",
        )
        assert "access-control-allow-origin" not in asked.headers


def test_a_connection_from_elsewhere_is_not_taken(certificates: Path, services: Services) -> None:
    settings = GatewaySettings(allowed_sources=("10.0.0.0/8",))
    with (
        running_gateway(certificates, services.ports, settings, health_from="scheduler") as closed,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        closed.rest("GET", "/v1/schedules")


def test_the_access_log_says_who_and_what_and_holds_no_secret(gateway: Gateway, admin: str) -> None:
    request_id = uuid.uuid4().hex
    gateway.rest("GET", "/v1/schedules/none?page_token=hush", token=admin, x_request_id=request_id)
    gateway.rest("GET", "/v1/schedules/none", token=admin, x_request_id=request_id)
    gateway.buf(
        "grpcweb",
        f"{SERVICE}/GetSchedule",
        {"name": "schedules/none"},
        admin,
        "--schema",
        str(gateway.log.parent / "celeriac.binpb"),
        "--header",
        f"x-request-id: {request_id}",
    )
    refused, rest, web = gateway.logged(request_id, 3)
    assert (refused["status"], refused["path"]) == (400, "/v1/schedules/none")
    assert (rest["status"], rest["http_method"], rest["path"]) == (404, "GET", "/v1/schedules/none")
    assert rest["method"] == web["method"] == f"{SERVICE}/GetSchedule"
    assert rest["actor"] == web["actor"] == "mei"
    assert (rest["address"], rest["upstream"]) == ("127.0.0.1", "scheduler")
    assert "code" not in rest
    assert web["code"] == "NOT_FOUND"
    assert isinstance(rest["milliseconds"], int)
    written = gateway.log.read_text()
    assert "hush" not in written
    assert admin.split(".")[2] not in written


def test_headers_that_would_steer_the_gateway_are_dropped(gateway: Gateway, admin: str) -> None:
    request_id = uuid.uuid4().hex
    answer = gateway.rest(
        "GET",
        "/v1/schedules/none",
        token=admin,
        x_request_id=request_id,
        x_envoy_upstream_rq_timeout_ms="1",
        x_envoy_original_path="/v1/auditRecords",
        x_envoy_original_method="DELETE",
        x_gateway_content_type="application/grpc-web",
        x_forwarded_for="203.0.113.9",
    )
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    [line] = gateway.logged(request_id)
    assert (line["http_method"], line["path"]) == ("GET", "/v1/schedules/none")
    assert line["address"] == "127.0.0.1"


def test_keys_are_added_and_withdrawn_while_the_gateway_runs(
    gateway: Gateway, tokens: LocalIssuer, admin: str
) -> None:
    first = tokens.key_set.read_bytes()
    key = ed25519.Ed25519PrivateKey.generate()
    public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    added = {**public, "kid": "next", "use": "sig", "alg": "EdDSA"}
    claims = jwt.decode(admin, options={"verify_signature": False})

    def status() -> int:
        fresh = {**claims, "jti": uuid.uuid4().hex}
        token = jwt.encode(fresh, key, algorithm="EdDSA", headers={"kid": "next"})
        return gateway.rest("GET", "/v1/schedules", token=token).status

    assert status() == 401
    try:
        both = {"keys": [*json.loads(first)["keys"], added]}
        write_private(tokens.key_set, json.dumps(both).encode())
        assert eventually(lambda: status() == 200)
        assert gateway.rest("GET", "/v1/schedules", token=admin).status == 200
    finally:
        write_private(tokens.key_set, first)
    assert eventually(lambda: status() == 401)


@contextlib.contextmanager
def frozen(services: Services) -> Iterator[None]:
    process = services.scheduler.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_call_that_lasts_too_long_ends_as_deadline_exceeded(
    gateway: Gateway, services: Services, admin: str
) -> None:
    with frozen(services):
        # The caller may ask for less than the method's own limit, by gRPC's header, over REST too.
        answer = gateway.rest("GET", "/v1/schedules/none", token=admin, grpc_timeout="300m")
    assert (answer.status, answer.json["code"]) == (504, Code.DEADLINE_EXCEEDED.value[0])
    assert answer.json["details"][0]["reason"] == "DEADLINE_EXCEEDED"


def test_the_admin_interface_is_a_socket_of_its_owner_and_no_port(gateway: Gateway) -> None:
    config = json.loads(gateway.admin("/config_dump"))
    [bootstrap] = [part for part in config["configs"] if "bootstrap" in part]
    address: Any = bootstrap["bootstrap"]["admin"]["address"]
    assert address["pipe"]["path"] == str(gateway.admin_socket)
    assert address.keys() == {"pipe"}
    assert stat.S_IMODE(gateway.admin_socket.stat().st_mode) == 0o600
