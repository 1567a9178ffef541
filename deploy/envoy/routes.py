"""The route of each method: its service, the role that it needs, and how long a call may last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from deploy.envoy.contracts import Method
from deploy.envoy.role_refusals import needed_by
from deploy.envoy.template import Template
from services.kernel.identity import Role

TYPE = "type.googleapis.com/"
# The monitor answers these for the whole system: it reflects every contract, and its health service knows
# every service by name. Reflection needs a token here. Its version `v1` does not exist: a client that gets
# UNIMPLEMENTED for it tries v1alpha, the version that grpcio has.
HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
STREAM_IDLE = "3600s"
# A client stream without any message for this long is ended: its client is taken for dead.
CLIENT_STREAM_IDLE = "60s"
# The filter of gateway.yaml that looks at the form of the header `authorization`.
AUTHORIZATION_FORM = "authorization_form"
# The filter of gateway.yaml that refuses what another page asks for in the name of who is signed in.
SAME_ORIGIN = "session_same_origin"
TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
# Turns a filter off for one route.
OFF = {"@type": f"{TYPE}envoy.config.route.v3.FilterConfig", "disabled": True}

# Turns on, for one route, a filter that is off by itself.
ON = {"@type": f"{TYPE}envoy.config.route.v3.FilterConfig", "config": {}}


def routes_of(
    methods: Sequence[Method], template: Template, health_from: str, by_address: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns Envoy's routes; the first that matches is used.

    `by_address` is the rate limit of routes that need no token.
    """
    standard = [
        Method(f"{HEALTH}Check", health_from, None, 15),
        Method(f"{HEALTH}List", health_from, None, 15),
        Method(f"{HEALTH}Watch", health_from, None, 0),
        Method(REFLECTION, health_from, Role.VIEWER, 0, also=frozenset({Role.WRITER})),
    ]
    return [
        *(_route(method, template, by_address) for method in [*methods, *standard]),
        _unknown(by_address),
    ]


def rest_prefixes(methods: Iterable[Method]) -> list[str]:
    """Returns the first segments of all REST paths, each once: ["/celery-admin/", "/v1/"]."""
    return sorted({f"/{path.split('/')[1]}/" for method in methods for _, path in method.rest})


def _route(method: Method, template: Template, by_address: dict[str, Any]) -> dict[str, Any]:
    if method.least_role is Role.SERVICE:
        return _closed(method, by_address)
    idle = CLIENT_STREAM_IDLE if method.client_streaming else STREAM_IDLE
    gates = {
        "envoy.filters.http.jwt_authn": token_needed(method.least_role),
        "envoy.filters.http.rbac": role_gate(None if method.least_role is None else method.roles),
    }
    if method.least_role is None:
        gates |= {"envoy.filters.http.local_ratelimit": by_address, AUTHORIZATION_FORM: OFF}
    if method.client_streaming:
        # The service limits each message; there is no limit for all messages together.
        gates["envoy.filters.http.body_size_limit"] = OFF
    return template.fill(
        "rpc",
        method=method.path,
        service=method.service,
        least_role=method.least_role.label if method.least_role else "",
        needed=needed_by(method),
        limit=f"{method.limit_seconds}s",
        idle_limit=idle if method.limit_seconds == 0 else f"{method.limit_seconds}s",
        gates=gates,
    )


def token_needed(least_role: Role | None) -> dict[str, Any]:
    """Demands a valid token; None demands none, and looks at none."""
    need = {"requirement_name": "token"} if least_role else {"disabled": True}
    return {"@type": f"{TYPE}envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig", **need}


def role_gate(roles: Sequence[Role] | None) -> dict[str, Any]:
    """Allows calls whose token lists one of the roles in its `roles` claim; None allows all calls."""
    principals = [{"any": True}] if roles is None else [_has(role) for role in roles]
    policy = {"permissions": [{"any": True}], "principals": principals}
    return {
        "@type": f"{TYPE}envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
        "rbac": {"rules": {"action": "ALLOW", "policies": {"role": policy}}},
    }


def _has(role: Role) -> dict[str, Any]:
    matcher = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "claims"}, {"key": "roles"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": role.label}}}},
    }
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def _closed(method: Method, by_address: dict[str, Any]) -> dict[str, Any]:
    """For methods that only services call, directly and by their certificates: the gateway refuses them."""
    return _refused(method.path, {"path": method.path}, 403, by_address)


def _unknown(by_address: dict[str, Any]) -> dict[str, Any]:
    route = _refused("none", {"prefix": "/"}, 404, by_address)
    # So that no call is transcoded that the check of REST calls has not seen.
    route["typed_per_filter_config"][TRANSCODER] = OFF
    return route


def _refused(name: str, match: dict[str, Any], status: int, by_address: dict[str, Any]) -> dict[str, Any]:
    """Returns a route that the gateway answers itself; replies.py has the error."""
    gates = {
        "envoy.filters.http.rbac": role_gate(None),
        "envoy.filters.http.local_ratelimit": by_address,
        AUTHORIZATION_FORM: OFF,
    }
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status},
        "typed_per_filter_config": gates,
    }
