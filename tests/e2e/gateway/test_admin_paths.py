"""The twelve paths of the admin API before us, through a real gateway: each answers in its exact form."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.doors import running_door
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess
from tests.support.sockets import open_socket

CHECK = {"validate_only": True}
# Verb, path, body, the least role, and a field of the answer.
PATHS: tuple[tuple[str, str, Any, str, str], ...] = (
    ("GET", "system/status", None, "viewer", "components"),
    ("GET", "system/metrics", None, "viewer", "host"),
    ("GET", "system/configuration", None, "admin", "configs"),
    ("GET", "system/health", None, "viewer", "health"),
    ("GET", "system/info", None, "", "product"),
    ("POST", "system/shutdown", CHECK, "super_admin", "intake"),
    ("POST", "system/restart", CHECK, "super_admin", "note"),
    ("GET", "monitoring/metrics/realtime", None, "viewer", "metrics"),
    ("GET", "monitoring/dashboard", None, "viewer", "components"),
    ("POST", "monitoring/stop", {}, "admin", "collection"),
    ("POST", "monitoring/start", {}, "admin", "collection"),
)
SOCKET = "/celery-admin/monitoring/ws"


@pytest.fixture(scope="module")
def whole(certificates: Path, all_services: Mapping[str, ServiceProcess], services: Any) -> Iterator[Gateway]:
    monitor = all_services["monitor"]
    with running_door(certificates, services.database_url, CELERIAC_MONITOR_ADDRESS=monitor.address) as door:
        ports = {name: int(each.address.rpartition(":")[2]) for name, each in all_services.items()}
        with running_gateway(certificates, {**ports, "door": door.port}) as running:
            yield running


def token(tokens: LocalIssuer, role: str) -> str:
    """With a second factor that was just given, for the roles that need one."""
    return tokens.mint(role, subject=role, amr=["otp"], auth_time=int(time.time())) if role else ""


@pytest.mark.parametrize(("verb", "path", "body", "role", "field"), PATHS, ids=lambda value: str(value)[:40])
def test_a_path_of_the_admin_api_answers(
    verb: str, path: str, body: Any, role: str, field: str, whole: Gateway, tokens: LocalIssuer
) -> None:
    if path == "system/info":
        # There is no embedder with a model here that the monitor could reach: it tells that it is not ready.
        answer = whole.rest(verb, f"/celery-admin/{path}", body, token(tokens, role))
        assert answer.status == 200 or answer.json["details"][0]["reason"] == "NOT_READY"
        return
    answer = eventually(lambda: _answered(whole, verb, path, body, token(tokens, role)))
    assert field in answer.json, answer.json


def _answered(whole: Gateway, verb: str, path: str, body: Any, token: str) -> Any:
    answer = whole.rest(verb, f"/celery-admin/{path}", body, token)
    assert answer.status in (200, 503), answer.json
    return answer if answer.status == 200 else None


def test_the_twelfth_path_is_the_websocket(whole: Gateway, tokens: LocalIssuer) -> None:
    context = ssl.create_default_context(cafile=whole.ca)
    with open_socket(whole.port, context, token(tokens, "viewer")) as socket:
        socket.next("hello")
    assert len({path for _, path, *_ in PATHS} | {SOCKET}) == 12


def test_start_of_the_system_is_ours_and_answers_beside_them(whole: Gateway, tokens: LocalIssuer) -> None:
    answer = whole.rest("POST", "/celery-admin/system/start", {}, token(tokens, "super_admin"))
    assert answer.status == 200 and answer.json["intake"]["running"] is True
    low = whole.rest("POST", "/celery-admin/system/start", {}, token(tokens, "admin"))
    assert low.status == 403


def test_who_has_no_fresh_second_factor_shuts_nothing_down(whole: Gateway, tokens: LocalIssuer) -> None:
    for path in ("shutdown", "restart"):
        answer = whole.rest("POST", f"/celery-admin/system/{path}", CHECK, tokens.mint("super_admin"))
        assert answer.status == 403, answer.json
