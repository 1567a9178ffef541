"""The header that carries the token: written in any case, once, and of any length."""

from __future__ import annotations

import base64
import http.client
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.e2e.gateway.conftest import Services
from tests.support.calls import reason_of
from tests.support.gateway import Gateway

LIST = "/celeriac.scheduler.v1.ScheduleService/ListSchedules"
# What a caller without fault is told in place of a reason.
OK = ""


@dataclass(frozen=True)
class Doors:
    """The ways to one method: each gives the reason of the refusal, by the values of the header."""

    gateway: Gateway
    services: Services

    def told(self, *values: str) -> dict[str, str]:
        """What is told at each door."""
        with (
            grpc.secure_channel(
                self.gateway.address, grpc.ssl_channel_credentials(self.gateway.ca.read_bytes())
            ) as through,
            self.services.scheduler.channel() as direct,
        ):
            by_grpc, at_the_service = _by_grpc(through, values), _by_grpc(direct, values)
        return {
            "gRPC": by_grpc,
            "the service": at_the_service,
            "REST": self._by_rest(values),
            "gRPC-Web": self._by_web(values),
        }

    def _by_rest(self, values: Sequence[str]) -> str:
        response, body = self._answer("GET", "/v1/schedules", values, {})
        if response.status == 200:
            return OK
        assert response.status == 401, body
        return "".join(name for name in REASONS if name in body.decode())

    def _by_web(self, values: Sequence[str]) -> str:
        sent = {"content-type": "application/grpc-web+proto"}
        response, body = self._answer("POST", LIST, values, sent, struct.pack(">BI", 0, 0))
        assert response.status == 200, body
        trailers = body[body.index(b"grpc-status") :] if b"grpc-status" in body else b""
        if b"grpc-status:0" in trailers:
            return OK
        fields = dict(line.split(": ", 1) for line in trailers.decode().splitlines())
        # By a service that refuses at once they are headers.
        packed = fields.get("grpc-status-details-bin") or response.headers["grpc-status-details-bin"]
        details = base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("latin-1")
        return "".join(name for name in REASONS if name in details)

    def _answer(
        self, verb: str, path: str, values: Sequence[str], more: dict[str, str], body: bytes = b""
    ) -> tuple[http.client.HTTPResponse, bytes]:
        context = ssl.create_default_context(cafile=self.gateway.ca)
        connection = http.client.HTTPSConnection("127.0.0.1", self.gateway.port, context=context, timeout=30)
        try:
            connection.putrequest(verb, path)
            for value in values:
                connection.putheader("authorization", value)
            for name, value in (more | {"content-length": str(len(body))}).items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


REASONS = ("TOKEN_MISSING", "TOKEN_MALFORMED", "TOKEN_INVALID")


def _by_grpc(channel: grpc.Channel, values: Sequence[str]) -> str:
    metadata = tuple(("authorization", value) for value in values)
    try:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        stub.ListSchedules(pb.ListSchedulesRequest(), metadata=metadata, timeout=15)
    except grpc.RpcError as refusal:
        error: Any = refusal
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED, error
        return reason_of(error)
    return OK


@pytest.fixture
def doors(gateway: Gateway, services: Services) -> Doors:
    return Doors(gateway, services)


def everywhere(reason: str) -> dict[str, str]:
    return dict.fromkeys(("gRPC", "the service", "REST", "gRPC-Web"), reason)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER", "Bearer "])
def test_the_scheme_may_be_written_in_any_case(scheme: str, doors: Doors, admin: str) -> None:
    """RFC 9110, section 11.1."""
    assert doors.told(f"{scheme} {admin}") == everywhere(OK)


@pytest.mark.parametrize("scheme", ["Basic", "Bear", "xBearer", "Token"])
def test_another_scheme_is_malformed(scheme: str, doors: Doors, admin: str) -> None:
    assert doors.told(f"{scheme} {admin}") == everywhere("TOKEN_MALFORMED")


def test_a_scheme_without_a_token_and_a_token_without_a_scheme_are_malformed(
    doors: Doors, admin: str
) -> None:
    assert doors.told("Bearer") == everywhere("TOKEN_MALFORMED")
    assert doors.told(admin) == everywhere("TOKEN_MALFORMED")


def test_of_several_tokens_none_is_chosen(doors: Doors, admin: str, tokens: LocalIssuer) -> None:
    one, other = f"Bearer {admin}", f"Bearer {tokens.mint('viewer')}"
    assert doors.told(one, other) == everywhere("TOKEN_MALFORMED")
    assert doors.told(one, one) == everywhere("TOKEN_MALFORMED")
    assert doors.told(f"{one}, {other}") == everywhere("TOKEN_MALFORMED")
    assert doors.told(f"{one},{other}") == everywhere("TOKEN_MALFORMED")
    assert doors.told(f"{one} {other}") == everywhere("TOKEN_MALFORMED")
    assert doors.told("Basic YTpi", one) == everywhere("TOKEN_MALFORMED")


def test_a_service_takes_no_empty_header_beside_a_token(doors: Doors, admin: str) -> None:
    """Where Envoy joins headers it leaves empty values out: behind it there is one, with the token."""
    for values in (("", f"Bearer {admin}"), (f"Bearer {admin}", "")):
        assert doors.told(*values) == everywhere(OK) | {"the service": "TOKEN_MALFORMED"}


def test_the_message_says_how_the_header_must_be(gateway: Gateway, admin: str) -> None:
    answer = gateway.rest("GET", "/v1/schedules", authorization=f"Bearer {admin}, Bearer {admin}")
    assert "once" in answer.json["message"]
    assert "Bearer <token>" in answer.json["message"]


def test_what_is_public_needs_no_token_of_any_form(doors: Doors) -> None:
    for channel in (doors.services.scheduler.channel(), doors.gateway.channel()):
        with channel:
            call: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert call(b"", metadata=(("authorization", "Basic YTpi"),), timeout=15)


@pytest.mark.parametrize("kilobytes", [12, 20, 60, 100])
def test_a_token_of_any_length_is_judged_and_breaks_no_connection(
    kilobytes: int, doors: Doors, tokens: LocalIssuer
) -> None:
    assert doors.told(f"Bearer {'x' * 1000 * kilobytes}") == everywhere("TOKEN_INVALID")
    # A token that is sound but for its length.
    long = tokens.mint("admin", more="x" * 750 * kilobytes)
    told = everywhere(OK if len(long) <= 16 * 1024 else "TOKEN_INVALID")
    assert doors.told(f"Bearer {long}") == told


def test_headers_that_are_too_long_for_the_gateway_are_told_over_http_1(gateway: Gateway) -> None:
    answer = gateway.rest("GET", "/v1/schedules", token="x" * 200_000)
    assert answer.status == 431
    assert answer.json["code"] == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert "REQUEST_TOO_LARGE" in str(answer.json["details"])
