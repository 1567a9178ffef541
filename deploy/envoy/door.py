"""The routes to the door: pages, what they load, and sign-in. The door itself decides who may have what."""

from __future__ import annotations

from typing import Any

from deploy.envoy.routes import AUTHORIZATION_FORM, OFF, role_gate, token_needed
from deploy.envoy.template import Template
from services.door.paths import ASSETS, FILES, PAGES, READY, SESSION

# The filter of gateway.yaml that refuses what another site's page asks for in the name of who is signed in.
SAME_ORIGIN = "session_same_origin"
TRANSCODER = "envoy.filters.http.grpc_json_transcoder"


def door_routes(template: Template, by_address: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the routes to the door; other paths, and other verbs on a page's path, are not its."""
    reading = [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}]
    pages: list[dict[str, Any]] = [{"path": path} for path in ("/", *FILES)]
    pages += [{"path_separated_prefix": f"/{page}"} for page in PAGES]
    pages += [{"prefix": ASSETS}]
    gates = _open(by_address)
    return [
        template.fill("door_route", match={"path_separated_prefix": SESSION}, gates=gates),
        *(template.fill("door_route", match={**page, "headers": reading}, gates=gates) for page in pages),
    ]


def door_probe() -> dict[str, Any]:
    """Returns how the gateway asks the door whether it serves."""
    return {"path": READY, "host": "door.celeriac.internal"}


def _open(by_address: dict[str, Any]) -> dict[str, Any]:
    """For requests that the door answers whoever asks, or whose token it looks at itself."""
    return {
        TRANSCODER: OFF,
        AUTHORIZATION_FORM: OFF,
        "envoy.filters.http.jwt_authn": token_needed(None),
        "envoy.filters.http.local_ratelimit": by_address,
        "envoy.filters.http.rbac": role_gate(None),
    }
