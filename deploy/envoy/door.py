"""The routes to the door: pages, what they load, and sign-in. The door itself decides who may have what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.envoy.contracts import Method
from deploy.envoy.role_refusals import needed_by
from deploy.envoy.routes import (
    AUTHORIZATION_FORM,
    OFF,
    SAME_ORIGIN,
    TRANSCODER,
    TYPE,
    role_gate,
    token_needed,
)
from deploy.envoy.template import Template
from services.door.paths import ASSETS, FILES, LIVE, PAGES, READY, SESSION

# The most of a body that is kept for the door, which takes less.
MOST_BODY = 64 * 1024
WATCH_EVENTS = "/celeriac.monitor.v1.MonitoringService/WatchEvents"


def door_routes(
    template: Template, methods: Sequence[Method], by_address: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns the routes to the door; other paths, and other verbs on a page's path, are not its."""
    reading = [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}]
    pages: list[dict[str, Any]] = [{"path": path} for path in ("/", *FILES)]
    pages += [{"path_separated_prefix": f"/{page}"} for page in PAGES]
    pages += [{"prefix": ASSETS}]
    gates = _open(by_address)
    return [
        _live_route(template, methods),
        template.fill("door_route", match={"path_separated_prefix": SESSION}, gates=gates),
        *(template.fill("door_route", match={**page, "headers": reading}, gates=gates) for page in pages),
    ]


def _live_route(template: Template, methods: Sequence[Method]) -> dict[str, Any]:
    """Returns the route of the WebSocket, for those who may watch events."""
    watched = next(method for method in methods if method.path == WATCH_EVENTS)
    gates = {
        # Browsers send no Sec-Fetch headers there: the door looks at the origin.
        SAME_ORIGIN: OFF,
        TRANSCODER: OFF,
        "envoy.filters.http.jwt_authn": token_needed(watched.least_role),
        "envoy.filters.http.rbac": role_gate(watched.roles),
    }
    return template.fill("live_route", path=LIVE, needed=needed_by(watched), gates=gates)


def door_probe() -> dict[str, Any]:
    """Returns how the gateway asks the door whether it serves."""
    return {"path": READY, "host": "door.celeriac.internal"}


def _open(by_address: dict[str, Any]) -> dict[str, Any]:
    """For requests that the door answers whoever asks, or whose token it looks at itself."""
    return {
        # A page is asked for from anywhere. What changes something below /session, the door looks at itself.
        SAME_ORIGIN: OFF,
        TRANSCODER: OFF,
        AUTHORIZATION_FORM: OFF,
        "envoy.filters.http.buffer": {
            "@type": f"{TYPE}envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
            "buffer": {"max_request_bytes": MOST_BODY},
        },
        "envoy.filters.http.jwt_authn": token_needed(None),
        "envoy.filters.http.local_ratelimit": by_address,
        "envoy.filters.http.rbac": role_gate(None),
    }
