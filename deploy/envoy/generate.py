"""Writes the gateway's configuration into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deploy.envoy.content_types import NOT_REST
from deploy.envoy.contracts import Method, descriptor_set, installed_contracts, methods_of
from deploy.envoy.door import door_probe, door_routes
from deploy.envoy.replies import mappers
from deploy.envoy.rest_script import rest_script
from deploy.envoy.routes import ON, TYPE, rest_prefixes, routes_of
from deploy.envoy.settings import GatewaySettings
from deploy.envoy.template import Template
from deploy.sockets import LONGEST_SOCKET_PATH, fits
from services import DOOR
from services.door.paths import cookie_name
from services.kernel.tokens import AUTHORIZATION

try:
    # libyaml's, which takes a third of the time for the same text.
    from yaml import CSafeDumper as SafeDumper
except ImportError:  # PyYAML was built without it
    from yaml import SafeDumper  # type: ignore[assignment]

CONFIG = "envoy.yaml"
DESCRIPTORS = "celeriac.binpb"
REST_SCRIPT = "rest.lua"
# The most that transcoding buffers of one response; responses may be longer than requests.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
# How much of a REST body that is refused for its length is read, as a multiple of the limit.
MOST_READ = 3
# Where a service is: the port (on 127.0.0.1) or "host:port" of each of its replicas.
Upstream = int | str | Sequence[int | str]
# How Envoy speaks to gRPC services, and to the door. It closes an idle connection before the door does, so
# that none is closed at the moment in which a request comes.
GRPC = {"http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}}
HTTP: dict[str, Any] = {"http_protocol_options": {}}
HTTP_IDLE = {"idle_timeout": "60s"}


def write_gateway_config(
    folder: Path,
    state: Path,
    listen_port: int,
    admin_socket: Path,
    upstreams: Mapping[str, Upstream],
    settings: GatewaySettings | None = None,
    health_from: str = "monitor",
    health_interval: str = "0.5s",
) -> Path:
    """Writes `envoy.yaml`, the descriptors and `rest.lua` into `folder`; returns the path for `envoy -c`.

    `state` holds `ca.pem`, `certs/gateway.crt|key` and `jwks.json`. `admin_socket` is the path of Envoy's
    admin page, in a folder that only Envoy's user may enter. `upstreams` says where each service that the
    installed contracts need is: the port (on 127.0.0.1) or "host:port", or a list with those of its replicas;
    and where the door is, if there is one: without it, there are no pages and no sign-in in a browser.
    `health_from` is the service that answers health and reflection for the whole system. `health_interval` is
    the time between two checks of a healthy replica.

    Raises ValueError if `upstreams` lacks a service, or if the socket's path is too long.
    """
    settings = settings or GatewaySettings()
    contracts = installed_contracts()
    methods = methods_of(contracts)
    needed = {method.service for method in methods} | {health_from}
    missing = sorted(needed - upstreams.keys())
    if missing:
        raise ValueError(f"upstreams lacks {', '.join(missing)}; for example: {missing[0]!r}: 8445")
    folder.mkdir(parents=True, exist_ok=True)
    descriptors = folder.resolve() / DESCRIPTORS
    descriptors.write_bytes(descriptor_set(contracts))
    checks = folder.resolve() / REST_SCRIPT
    checks.write_text(rest_script(contracts, settings.max_request_bytes))
    template = Template()
    by_address = _rate_limit_by_address(template, settings)
    bootstrap = template.fill(
        "bootstrap",
        state=str(state.resolve()),
        listen_host=settings.listen_host,
        listen_port=listen_port,
        admin_socket=str(_socket(admin_socket)),
        trusted_proxies=settings.trusted_proxies,
        token_check=template.fill("token_check", issuer=settings.issuer, audience=settings.audience),
        authorization=AUTHORIZATION.pattern,
        cookie=cookie_name(settings.instance),
        max_request_bytes=settings.max_request_bytes,
        allowed_sources=_sources(settings),
        cors_policy=_cors_policy(settings),
        mappers=mappers(methods),
        grpc_log=template.fill(
            "access_log", rest=False, not_rest=NOT_REST, grpc_code="%GRPC_STATUS(SNAKE_STRING)%"
        ),
        rest_log=template.fill("access_log", rest=True, not_rest=NOT_REST, grpc_code=None),
        rest_script=str(checks),
        transcoder=_transcoder(template, settings, methods, descriptors, events=False),
        rate_limit_by_subject=_rate_limit_by_subject(template, settings),
        routes=[
            *(door_routes(template, methods, by_address) if DOOR in upstreams else []),
            *_rest_routes(template, settings, methods, descriptors),
            *routes_of(methods, template, health_from, by_address),
        ],
        clusters=[
            template.fill("keys_cluster"),
            *(
                _cluster(
                    template, service, upstreams[service], state, _probed(service, methods), health_interval
                )
                for service in sorted(needed)
            ),
            *_door_cluster(template, upstreams, state, health_interval),
        ],
    )
    config = folder.resolve() / CONFIG
    config.write_text(yaml.dump(bootstrap, Dumper=_Dumper, sort_keys=False, width=1000))
    return config


def _socket(path: Path) -> Path:
    if not fits(path.absolute()):
        raise ValueError(
            f"the path of the admin page's socket, {path.absolute()}, is longer than {LONGEST_SOCKET_PATH} "
            "bytes; for example: /run/celeriac/admin.sock"
        )
    return path.absolute()


class _Dumper(SafeDumper):
    """Writes no anchors and aliases, so that people can read the file from top to bottom."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _rate_limit_by_subject(template: Template, settings: GatewaySettings) -> dict[str, Any]:
    claim = {"key": "envoy.filters.http.jwt_authn", "path": [{"key": "claims"}, {"key": "sub"}]}
    caller = {"metadata": {"descriptor_key": "subject", "metadata_key": claim}}
    return template.fill("rate_limit", caller=caller, key="subject", rate=settings.rate, burst=settings.burst)


def _rate_limit_by_address(template: Template, settings: GatewaySettings) -> dict[str, Any]:
    """For routes that need no token, so that the caller has no subject."""
    caller: dict[str, Any] = {"remote_address": {}}
    key = "remote_address"
    return template.fill("rate_limit", caller=caller, key=key, rate=settings.rate, burst=settings.burst)


def _rest_routes(
    template: Template, settings: GatewaySettings, methods: list[Method], descriptors: Path
) -> list[dict[str, Any]]:
    events = _transcoder(template, settings, methods, descriptors, events=True)
    service = methods[0].service
    prefixes = rest_prefixes(methods)
    most_read = MOST_READ * settings.max_request_bytes
    return [
        *(
            template.fill("rest_events", prefix=prefix, service=service, transcoder=events, checks=ON)
            for prefix in prefixes
        ),
        *(
            template.fill(
                kind, prefix=prefix, service=service, checks=ON, not_rest=NOT_REST, most_read=most_read
            )
            for kind in ("rest_small", "rest_large", "rest")
            for prefix in prefixes
        ),
    ]


def _transcoder(
    template: Template, settings: GatewaySettings, methods: list[Method], descriptors: Path, events: bool
) -> dict[str, Any]:
    return template.fill(
        "transcoder",
        descriptors=str(descriptors),
        services=sorted({method.grpc_service for method in methods}),
        max_request_bytes=settings.max_request_bytes,
        max_response_bytes=MAX_RESPONSE_BYTES,
        lines=not events,
        events=events,
    )


def _probed(service: str, methods: list[Method]) -> str:
    """Returns the name of a gRPC service in the service's own package: its health is that of the service."""
    own = f"celeriac.{service}.v1."
    return next(method.grpc_service for method in methods if method.grpc_service.startswith(own))


def _cluster(
    template: Template, service: str, upstream: Upstream, state: Path, probed: str, health_interval: str
) -> dict[str, Any]:
    return template.fill(
        "cluster",
        service=service,
        replicas=_replicas(template, service, upstream),
        state=str(state.resolve()),
        protocol=GRPC,
        common_options=None,
        bounds=[template.fill("bounds_of_calls")],
        # Without it grpcio closes the connection.
        alpn=["h2"],
        grpc_probe={"service_name": probed, "authority": f"{service}.celeriac.internal"},
        http_probe=None,
        health_interval=health_interval,
    )


def _door_cluster(
    template: Template, upstreams: Mapping[str, Upstream], state: Path, health_interval: str
) -> list[dict[str, Any]]:
    if DOOR not in upstreams:
        return []
    cluster = template.fill(
        "cluster",
        service=DOOR,
        replicas=_replicas(template, DOOR, upstreams[DOOR]),
        state=str(state.resolve()),
        protocol=HTTP,
        common_options=HTTP_IDLE,
        bounds=[template.fill("bounds_of_calls"), template.fill("bounds_of_sockets")],
        alpn=["http/1.1"],
        grpc_probe=None,
        http_probe=door_probe(),
        health_interval=health_interval,
    )
    return [cluster]


def _replicas(template: Template, service: str, upstream: Upstream) -> list[dict[str, Any]]:
    addresses = [upstream] if isinstance(upstream, int | str) else upstream
    return [_replica(template, service, str(address)) for address in addresses]


def _replica(template: Template, service: str, address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return template.fill("replica", service=service, host=host.strip("[]") or "127.0.0.1", port=int(port))


def _sources(settings: GatewaySettings) -> dict[str, Any] | None:
    """Returns the networks to accept connections from, None for all; Envoy closes others before TLS."""
    if not settings.allowed_sources:
        return None
    ranges = [
        {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}
        for network in settings.allowed_sources
    ]
    return {"source_prefix_ranges": ranges}


def _cors_policy(settings: GatewaySettings) -> dict[str, Any] | None:
    """Returns what web pages of the allowed origins may send and read; None if no origin is allowed."""
    if not settings.cors_origins:
        return None
    policy = {
        "@type": f"{TYPE}envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": origin} for origin in settings.cors_origins],
        "allow_methods": "GET, POST, PATCH, PUT, DELETE, OPTIONS",
        "allow_headers": "authorization, content-type, grpc-timeout, x-grpc-web, x-user-agent, x-request-id",
        "expose_headers": "grpc-status, grpc-message, grpc-status-details-bin, x-request-id, retry-after",
        "max_age": "600",
    }
    return {"envoy.filters.http.cors": policy}
