"""The WebSocket through a real gateway: in its exact path, with a token, and for as long as it is open."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from deploy.standalone.tokens import LocalIssuer
from services.door.paths import LIVE
from tests.support.doors import running_door
from tests.support.event_streams import publish
from tests.support.events import Life
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess
from tests.support.servers import Valkey
from tests.support.sockets import Socket, open_socket


@pytest.fixture(scope="module")
def before_the_door(
    certificates: Path, all_services: Mapping[str, ServiceProcess], services: Any
) -> Iterator[Gateway]:
    monitor = all_services["monitor"]
    with running_door(certificates, services.database_url, CELERIAC_MONITOR_ADDRESS=monitor.address) as door:
        ports = {"monitor": int(monitor.address.rpartition(":")[2]), "door": door.port}
        with running_gateway(certificates, ports) as running:
            yield running


def context(gateway: Gateway) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=gateway.ca)


def test_events_come_through_the_gateway(
    before_the_door: Gateway, tokens: LocalIssuer, valkey: Valkey
) -> None:
    gateway = before_the_door
    with open_socket(gateway.port, context(gateway), tokens.mint("viewer", subject="an")) as socket:
        socket.next("hello")
        socket.next("metrics")
        life = Life(time.time())
        publish(valkey, life)
        socket.next("tasks", lambda data: life.id in str(data))
        _ends_well(socket)


def test_who_has_no_token_is_refused_before_the_upgrade(before_the_door: Gateway) -> None:
    for token, reason in (("", "TOKEN_MISSING"), ("abc", "TOKEN_INVALID")):
        with (
            pytest.raises(InvalidStatus) as refused,
            open_socket(before_the_door.port, context(before_the_door), token),
        ):
            pass
        assert refused.value.response.status_code == 401
        assert reason in refused.value.response.body.decode()


def test_a_request_that_is_no_upgrade_gets_an_error(before_the_door: Gateway, admin: str) -> None:
    answer = before_the_door.rest("GET", LIVE, token=admin)
    assert answer.status in (400, 404, 426)
    assert answer.json["message"]


def _ends_well(socket: Socket) -> None:
    socket.close()
    assert socket.connection.close_code == 1000
