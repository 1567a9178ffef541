"""Every role, by every method and every way in: allowed or refused as the method's policy says.

Requests are empty, or name a resource that does not exist: a call that is let through is refused by its
handler, or changes nothing. The embedder has a model of a few lines.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import re
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.access.v1 import access_pb2, access_pb2_grpc

from deploy.envoy import GatewaySettings
from deploy.envoy.contracts import Method, installed_contracts, methods_of
from deploy.standalone.tokens import LocalIssuer
from services.kernel.identity import CALLERS, Role
from services.kernel.policy import MethodPolicy, policy_of
from tests.support.calls import Caller, eventually
from tests.support.contract_server import METHODS as DESCRIPTORS
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess
from tests.support.token_ids import token_id_of

Code = grpc.StatusCode
METHODS = methods_of(installed_contracts())
REST = [(verb, pattern, method) for method in METHODS for verb, pattern in method.rest]
# Long enough for the slowest answer; a watch is left after its first message.
SECONDS = 60.0
# A call that has one of these codes was not let through.
REFUSED = {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}
CODE_OF_HTTP = {401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED}


@dataclass(frozen=True)
class Token:
    """The roles of a token (none: a call without a token), and whether it shows a second factor."""

    roles: tuple[str, ...] = ()
    second_factor: bool = False
    revoked: bool = False

    def minted(self, tokens: LocalIssuer) -> str:
        if not self.roles:
            return ""
        more: dict[str, Any] = {"amr": ["otp"], "auth_time": int(time.time())} if self.second_factor else {}
        return tokens.mint(roles=list(self.roles), subject="-".join(self.roles), **more)

    def may_call(self, policy: MethodPolicy) -> bool:
        least = policy.least_role
        if least is None:
            return True
        greatest = {
            Role.VIEWER: {"viewer", "admin", "super_admin"},
            Role.ADMIN: {"admin", "super_admin"},
            Role.SUPER_ADMIN: {"super_admin"},
        }.get(least, set())
        named = {role.label for role in policy.also}
        enough = bool(set(self.roles) & (greatest | named))
        return enough and not self.revoked and (self.second_factor or not policy.second_factor)


NOBODY = Token()
TOKENS = (
    NOBODY,
    Token(("viewer",)),
    Token(("writer",)),
    Token(("viewer", "writer")),
    Token(("admin",)),
    Token(("super_admin",)),
    Token(("super_admin",), second_factor=True),
    Token(("super_admin",), second_factor=True, revoked=True),
)


@pytest.fixture(scope="module")
def door(certificates: Path, all_services: Mapping[str, ServiceProcess]) -> Iterator[Gateway]:
    """A gateway before all four, that limits nobody."""
    ports = {name: int(service.address.rpartition(":")[2]) for name, service in all_services.items()}
    with running_gateway(certificates, ports, GatewaySettings(rate=10**6, burst=10**6)) as running:
        yield running


def refuses(channel: grpc.Channel, path: str, token: str) -> bool:
    return called(channel, path, token) is not None


@pytest.fixture(scope="module")
def minted(tokens: LocalIssuer, all_services: Mapping[str, ServiceProcess]) -> dict[Token, str]:
    """Those that are revoked are so at every service."""
    made = {token: token.minted(tokens) for token in TOKENS}
    revoked = [made[token] for token in TOKENS if token.revoked]
    with all_services["audit"].channel() as channel:
        access = Caller(access_pb2_grpc.AccessServiceStub(channel), tokens.mint("super_admin"))
        for token in revoked:
            access.Revoke(access_pb2.RevokeRequest(token_id=token_id_of(token)))
    for name, service in all_services.items():
        for_viewers = (
            method.path
            for method in METHODS
            if method.service == name and policy(method).least_role is Role.VIEWER
        )
        with service.channel() as channel:
            for path, token in itertools.product([next(for_viewers)], revoked):
                eventually(functools.partial(refuses, channel, path, token), 20)
    return made


def policy(method: Method) -> MethodPolicy:
    return policy_of(DESCRIPTORS[method.path])


def expected(method: Method, token: Token, at_gateway: bool) -> grpc.StatusCode | None:
    """The code with which a call is refused; None for one that is let through."""
    if token.may_call(policy(method)):
        return None
    closed = at_gateway and policy(method).least_role is Role.SERVICE
    unknown = token is NOBODY or token.revoked
    return Code.UNAUTHENTICATED if unknown and not closed else Code.PERMISSION_DENIED


def verdict(code: grpc.StatusCode) -> grpc.StatusCode | None:
    """None for an answer of the method's handler, whatever it is."""
    assert code is not Code.UNIMPLEMENTED, "the call got to no method"
    return code if code in REFUSED else None


def called(channel: grpc.Channel, path: str, token: str = "") -> grpc.StatusCode | None:
    """The verdict over an empty request by gRPC."""
    method = DESCRIPTORS[path]
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    sent: Any = iter([b""]) if method.client_streaming else b""
    try:
        if method.server_streaming:
            make = channel.stream_stream if method.client_streaming else channel.unary_stream
            stream: Any = make(path)(sent, metadata=metadata, timeout=SECONDS)
            next(stream, None)
            stream.cancel()
        else:
            once: Any = channel.stream_unary if method.client_streaming else channel.unary_unary
            once(path)(sent, metadata=metadata, timeout=SECONDS)
    except grpc.RpcError as error:
        failed: Any = error
        return verdict(failed.code())
    return None


class Web:
    """HTTP/1.1 calls to the gateway, of which only the beginning of the answer is read.

    A connection is used again after an answer that is known to have ended: a new one for each of the
    thousands of calls would cost more than all else.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1",
            gateway.port,
            context=ssl.create_default_context(cafile=gateway.ca),
            timeout=SECONDS,
        )

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def answer(
        self, verb: str, path: str, body: bytes | None, token: str, content_type: str
    ) -> Iterator[http.client.HTTPResponse]:
        headers = {"content-type": content_type} | ({"authorization": f"Bearer {token}"} if token else {})
        self._connection.request(verb, path, body, headers)
        answer = self._connection.getresponse()
        try:
            yield answer
            if answer.length is not None:
                answer.read()
        finally:
            if not answer.isclosed():
                self._connection.close()

    def by_grpc_web(self, path: str, token: str) -> grpc.StatusCode | None:
        sent = struct.pack(">BI", 0, 0)
        with self.answer("POST", path, sent, token, "application/grpc-web+proto") as answer:
            stated = answer.headers.get("grpc-status")
            if stated is None:
                kind, length = struct.unpack(">BI", answer.read(5))
                if not kind & 0x80:
                    return None  # a message
                trailers = answer.read(length).decode()
                [stated] = re.findall(r"^grpc-status: ?(\d+)", trailers, re.MULTILINE)
        return verdict(next(code for code in Code if code.value[0] == int(stated)))

    def by_rest(self, verb: str, path: str, token: str) -> grpc.StatusCode | None:
        body = b"{}" if verb in {"POST", "PATCH"} else None
        with self.answer(verb, path, body, token, "application/json") as answer:
            if answer.status >= 400:
                reasons = [detail.get("reason") for detail in json.loads(answer.read())["details"]]
                assert not {"UNIMPLEMENTED", "MALFORMED_REQUEST"} & set(reasons), "the call got to no method"
            return CODE_OF_HTTP.get(answer.status)


@pytest.fixture(scope="module")
def web(door: Gateway) -> Iterator[Web]:
    with contextlib.closing(Web(door)) as opened:
        yield opened


class Channels:
    """One channel to each service for each certificate, and one to the gateway, for all tests."""

    def __init__(self, door: Gateway, services: Mapping[str, ServiceProcess]) -> None:
        self.gateway = door.channel()
        self._services = services
        self._direct: dict[tuple[str, str], grpc.Channel] = {}

    def direct(self, service: str, certificate: str = "gateway") -> grpc.Channel:
        found = self._direct.get((service, certificate))
        if found is None:
            found = self._direct[service, certificate] = self._services[service].channel(certificate)
        return found

    def close(self) -> None:
        for channel in (self.gateway, *self._direct.values()):
            channel.close()


@pytest.fixture(scope="module")
def channels(door: Gateway, all_services: Mapping[str, ServiceProcess]) -> Iterator[Channels]:
    with contextlib.closing(Channels(door, all_services)) as opened:
        yield opened


def an_example_of(pattern: str) -> str:
    """ "/v1/{name=schedules/*}:pause" becomes "/v1/schedules/none:pause"."""
    named = re.sub(r"\{[^=}]+=([^}]+)\}", r"\1", pattern)
    return re.sub(r"\{[^}]+\}|\*", "none", named)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_by_grpc_a_method_lets_through_whom_its_policy_names(
    method: Method, channels: Channels, minted: Mapping[Token, str]
) -> None:
    found = {token: called(channels.gateway, method.path, minted[token]) for token in TOKENS}
    assert found == {token: expected(method, token, at_gateway=True) for token in TOKENS}


@pytest.mark.parametrize(
    "method", [method for method in METHODS if not method.client_streaming], ids=lambda method: method.path
)
def test_by_grpc_web_a_method_lets_through_whom_its_policy_names(
    method: Method, web: Web, minted: Mapping[Token, str]
) -> None:
    """Browsers send no streams, so that methods that take one are not called by gRPC-Web."""
    found = {token: web.by_grpc_web(method.path, minted[token]) for token in TOKENS}
    assert found == {token: expected(method, token, at_gateway=True) for token in TOKENS}


@pytest.mark.parametrize(("verb", "pattern", "method"), REST, ids=lambda value: str(value)[:90])
def test_by_rest_a_path_lets_through_whom_the_methods_policy_names(
    verb: str, pattern: str, method: Method, web: Web, minted: Mapping[Token, str]
) -> None:
    path = an_example_of(pattern)
    found = {token: web.by_rest(verb, path, minted[token]) for token in TOKENS}
    assert found == {token: expected(method, token, at_gateway=True) for token in TOKENS}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_directly_a_method_lets_through_whom_its_policy_names(
    method: Method, channels: Channels, minted: Mapping[Token, str]
) -> None:
    """With the gateway's certificate, which is nobody's, as whoever has the gateway's key could try."""
    channel = channels.direct(method.service)
    found = {token: called(channel, method.path, minted[token]) for token in TOKENS}
    assert found == {token: expected(method, token, at_gateway=False) for token in TOKENS}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_a_certificate_alone_is_let_through_where_the_policy_names_it(
    method: Method, channels: Channels
) -> None:
    found = {caller: called(channels.direct(method.service, caller), method.path) for caller in CALLERS}
    allowed = set(CALLERS) if policy(method).public else policy(method).callers
    assert found == {caller: None if caller in allowed else Code.PERMISSION_DENIED for caller in CALLERS}


@pytest.mark.parametrize("caller", CALLERS)
def test_a_certificate_adds_nothing_to_a_token(
    caller: str, channels: Channels, minted: Mapping[Token, str]
) -> None:
    viewer = Token(("viewer",))
    for method in METHODS:
        if policy(method).callers:
            wanted = expected(method, viewer, at_gateway=False)
            channel = channels.direct(method.service, caller)
            assert called(channel, method.path, minted[viewer]) is wanted, method.path
