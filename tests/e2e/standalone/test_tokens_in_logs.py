"""No token is in a log, whatever the level of logging, by whichever way the token came."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from celeriac import connect_blocking
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc, schedules_pb2, schedules_pb2_grpc

from tests.support.admin_page import ask_admin_page
from tests.support.calls import eventually
from tests.support.gateway import Gateway
from tests.support.system import System

# A start from nothing, on a machine with other work.
pytestmark = pytest.mark.timeout(400)

METHOD = "/celeriac.scheduler.v1.ScheduleService/ListSchedules"
OPAQUE = f"opaque-{uuid.uuid4().hex}"


def logs_of(system: System) -> str:
    """All that was logged, and all that the terminal of `make up` showed."""
    files = sorted((system.state / "logs").iterdir())
    return system.output + "".join(path.read_text(errors="replace") for path in files)


def set_envoy_level(system: System, level: str) -> None:
    ask_admin_page(system.state / "run/envoy/admin.sock", f"/logging?level={level}", "POST")


@pytest.fixture
def loudest(system: System) -> Iterator[System]:
    """The system with every level raised by its owner: Envoy's, and that of services and workers."""
    level = "configs/logging.level"
    with system.channel() as channel:
        config: Any = config_pb2_grpc.ConfigServiceStub(channel)
        debug = config_pb2.ConfigValue(string_value="DEBUG")
        config.SetConfig(config_pb2.SetConfigRequest(name=level, value=debug), timeout=30)
        eventually(lambda: '"level": "debug"' in logs_of(system))
        set_envoy_level(system, "trace")
        try:
            yield system
        finally:
            set_envoy_level(system, "warning")
            config.ResetConfig(config_pb2.ResetConfigRequest(name=level), timeout=30)


def gateway_of(system: System) -> Gateway:
    """The ways in of tests/support, to this system's gateway."""
    log = system.state / "run/envoy/unused.log"
    return Gateway(system.state, system.port, system.state / "run/envoy/admin.sock", log, {})


def forged(token: str) -> str:
    """The token with another claim: a signature that doesn't fit."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = (
        base64.urlsafe_b64encode(json.dumps({**claims, "sub": "someone"}).encode()).rstrip(b"=").decode()
    )
    return f"{head}.{changed}.{signature}"


def test_no_token_is_in_any_log_with_every_level_raised(loudest: System) -> None:
    token = loudest.token("super_admin")
    gateway = gateway_of(loudest)
    sent = [token, forged(token), OPAQUE]
    marks = []
    for one in sent:
        for path in ("/v1/schedules", f"/v1/schedules?access_token={one}", f"/nowhere/Bearer%20{one}"):
            marks.append(f"case-{uuid.uuid4().hex}")
            gateway.rest("GET", path, token=one, x_request_id=marks[-1], cookie=f"session={one}")
        marks.append(f"case-{uuid.uuid4().hex}")
        gateway.rest("POST", METHOD, {}, token=one, x_request_id=marks[-1])
        with connect_blocking(gateway.address, token=one, ca=gateway.ca) as channel:
            stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
            try:
                stub.ListSchedules(schedules_pb2.ListSchedulesRequest(), timeout=30)
            except grpc.RpcError:
                assert one != token
    # Each call's last line is there, and the headers, which Envoy prints at these levels alone.
    eventually(lambda: all(mark in logs_of(loudest) for mark in marks))
    logs = logs_of(loudest)
    assert "'authorization', '" in logs
    for one in sent:
        for part in {one, *one.split(".")[1:]}:
            assert part not in logs, [line for line in logs.splitlines() if part in line][:5]
    assert "'authorization', '[token]" in logs
