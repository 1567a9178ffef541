"""Who sends an unfinished request, and who keeps WebSockets open, keeps nobody else from the door."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.standalone.tokens import LocalIssuer
from services.door.live.endpoint import MOST_SOCKETS
from services.door.paths import LIVE
from tests.support.calls import eventually
from tests.support.doors import running_door
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess

# Of connections that Envoy makes to the door for anything but WebSockets.
MOST_CONNECTIONS = 256
PATIENCE = 20.0


@pytest.fixture(scope="module")
def before_the_door(
    certificates: Path, tokens: LocalIssuer, all_services: Mapping[str, ServiceProcess], services: Any
) -> Iterator[Gateway]:
    monitor = all_services["monitor"]
    with running_door(certificates, services.database_url, CELERIAC_MONITOR_ADDRESS=monitor.address) as door:
        ports = {"monitor": int(monitor.address.rpartition(":")[2]), "door": door.port}
        with running_gateway(certificates, ports) as running:
            yield running


def begun(gateway: Gateway, context: ssl.SSLContext, request: str, *headers: str) -> ssl.SSLSocket:
    """A connection on which the head of a request, and what follows it, has been sent."""
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE)
    secure = context.wrap_socket(plain, server_hostname="127.0.0.1")
    secure.sendall("\r\n".join([f"{request} HTTP/1.1", "host: 127.0.0.1", *headers, "", ""]).encode())
    return secure


def count(gateway: Gateway, name: str) -> int:
    """A number of Envoy's own."""
    told = gateway.admin(f"/stats?filter=^{name}$").decode()
    return int(told.rpartition(":")[2])


def test_a_request_that_is_not_finished_takes_nothing_of_the_door(before_the_door: Gateway) -> None:
    gateway = before_the_door
    context = ssl.create_default_context(cafile=gateway.ca)
    requests = ("POST /session/enter", "POST /session/links", "GET /session", "GET /", "GET /assets/x.js")
    before = count(gateway, "http.gateway.downstream_rq_total")
    with contextlib.ExitStack() as running:
        for request in requests:
            for length in ("content-length: 100", "transfer-encoding: chunked"):
                running.enter_context(begun(gateway, context, request, length)).sendall(b"1\r\n{\r\n")
        eventually(lambda: count(gateway, "http.gateway.downstream_rq_total") >= before + 10)
        # It is after all of them, so that it shows what has become of them.
        assert gateway.request("GET", "/session").status == 200
        assert count(gateway, "cluster.door.upstream_rq_active") == 0


def test_a_body_that_is_too_large_for_the_door_is_refused(before_the_door: Gateway) -> None:
    answer = before_the_door.rest("POST", "/session/enter", {"key": "x" * 100_000})
    assert answer.status == 413
    assert "REQUEST_TOO_LARGE" in str(answer.json["details"])


def test_who_signs_in_is_answered_beside_more_sockets_than_there_are_connections(
    before_the_door: Gateway, tokens: LocalIssuer
) -> None:
    gateway = before_the_door
    context = ssl.create_default_context(cafile=gateway.ca)
    people = MOST_CONNECTIONS // MOST_SOCKETS + 1
    with contextlib.ExitStack() as running:
        for person in range(people):
            token = tokens.mint("viewer", subject=f"viewer-{person}")
            opened = [running.enter_context(_upgrade(gateway, context, token)) for _ in range(MOST_SOCKETS)]
            for each in opened:
                assert each.recv(12) == b"HTTP/1.1 101"
        assert people * MOST_SOCKETS > MOST_CONNECTIONS
        assert gateway.request("GET", "/session").status == 200


def _upgrade(gateway: Gateway, context: ssl.SSLContext, token: str) -> ssl.SSLSocket:
    return begun(
        gateway,
        context,
        f"GET {LIVE}",
        f"authorization: Bearer {token}",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
