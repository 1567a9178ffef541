"""Channels to a Celeriac gateway: TLS, a token on every call, and retries that have no second effect.

UNAVAILABLE doesn't tell whether the call was carried out: the connection may have ended after the request
went out. So these are retried: methods that change nothing, and methods that make their change once for each
`request_id`, which is filled in where the caller left it empty. Any other call is sent once, and its caller
is told. What provably never reached the gateway, grpc itself sends again, whatever the method.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio

from celeriac.access.v1.repeatable import READS, WITH_REQUEST_ID
from celeriac.request_ids import filling_in_request_ids

# A token, or what gives the current one: called for every call, so that it may be renewed.
Token = str | Callable[[], str]

# https://github.com/grpc/grpc/blob/master/doc/service_config.md
RETRIES = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
# Health and reflection: they change nothing, and are in no contract of ours.
STANDARD = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")


def connect(target: str, *, token: Token = "", ca: str | Path | None = None) -> grpc.aio.Channel:
    """An asyncio channel to the gateway at `target` ("127.0.0.1:8443").

    `token` is sent as `authorization: Bearer …`; `ca` is a PEM file of the authority that signed the
    gateway's certificate (the system's own authorities when None). Nothing is sent before the first call.

        async with connect("127.0.0.1:8443", token=token, ca=".celeriac/ca.pem") as channel:
            schedules = schedules_pb2_grpc.ScheduleServiceStub(channel)
    """
    return filling_in_request_ids(
        grpc.aio.secure_channel(target, _credentials(token, ca), options=_options()), WITH_REQUEST_ID
    )


def connect_blocking(target: str, *, token: Token = "", ca: str | Path | None = None) -> grpc.Channel:
    """The same without asyncio: for scripts and threads."""
    return filling_in_request_ids(
        grpc.secure_channel(target, _credentials(token, ca), options=_options()), WITH_REQUEST_ID
    )


def service_config() -> dict[str, object]:
    """Which methods grpc may retry. Those that are not named here, it doesn't."""
    paths = [path.split("/") for path in (*READS, *WITH_REQUEST_ID)]
    names = [{"service": service, "method": method} for _, service, method in paths]
    names += [{"service": service} for service in STANDARD]
    return {"methodConfig": [{"name": names, "retryPolicy": RETRIES}]}


def _options() -> Sequence[tuple[str, str | int]]:
    return [
        ("grpc.service_config", json.dumps(service_config())),
        ("grpc.keepalive_time_ms", 30_000),
        # After a long outage, attempts to connect would be two minutes apart.
        ("grpc.max_reconnect_backoff_ms", 30_000),
        # A manifest and what an import answers are longer than the 4 MiB that are usual.
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ]


def _credentials(token: Token, ca: str | Path | None) -> grpc.ChannelCredentials:
    channel = grpc.ssl_channel_credentials(Path(ca).read_bytes() if ca else None)
    if not token:
        return channel
    return grpc.composite_channel_credentials(channel, grpc.metadata_call_credentials(_Bearer(token)))


class _Bearer(grpc.AuthMetadataPlugin):
    """Puts the token on each call."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        token = self._token if isinstance(self._token, str) else self._token()
        callback((("authorization", f"Bearer {token}"),), None)
