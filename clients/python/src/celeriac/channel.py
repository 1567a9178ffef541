"""Channels to a Celeriac gateway: TLS, a token on every call, and retries that have no second effect.

`celeriac.connect()` stands on them. They are of use by themselves to who wants grpc's own stubs.

UNAVAILABLE doesn't say whether the call was carried out: the connection may have ended after the request was
sent. So only these methods are retried: those that change nothing, and those that make their change once for
each `request_id`, which is filled in if the caller left it empty. Any other call is sent once, and its caller
gets the error. A request that certainly never reached the gateway is sent again by grpc itself, for any
method.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio

from celeriac.access.v1.repeatable import READS, WITH_REQUEST_ID
from celeriac.request_ids import filling_in_request_ids

# A token, or a function that returns the current one and is called for every call, so that it can be renewed.
Token = str | Callable[[], str]

# https://github.com/grpc/grpc/blob/master/doc/service_config.md
RETRIES = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
# Health and reflection change nothing, and are not in Celeriac's contracts.
STANDARD = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")


def connect(target: str, *, token: Token = "", ca: str | Path | None = None) -> grpc.aio.Channel:
    """Returns an asyncio channel to the gateway at `target` ("127.0.0.1:8443").

    `token` is sent as `authorization: Bearer …`; `ca` is a PEM file of the authority that signed the
    gateway's certificate (None: grpc's default authorities). Nothing is sent before the first call. Raises
    OSError if the file can't be read.

        async with connect("127.0.0.1:8443", token=token, ca=".celeriac/ca.pem") as channel:
            schedules = schedules_pb2_grpc.ScheduleServiceStub(channel)
    """
    return open_channel(target, _credentials(token, ca))


def connect_blocking(target: str, *, token: Token = "", ca: str | Path | None = None) -> grpc.Channel:
    """Returns the same channel without asyncio: for scripts and threads."""
    return open_channel_blocking(target, _credentials(token, ca))


def open_channel(target: str, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
    """Returns an asyncio channel with retries, whose calls carry a request_id where the contract has one."""
    return filling_in_request_ids(
        grpc.aio.secure_channel(target, credentials, options=_options()), WITH_REQUEST_ID
    )


def open_channel_blocking(target: str, credentials: grpc.ChannelCredentials) -> grpc.Channel:
    """Returns the same channel without asyncio."""
    return filling_in_request_ids(
        grpc.secure_channel(target, credentials, options=_options()), WITH_REQUEST_ID
    )


def service_config() -> dict[str, object]:
    """Returns grpc's service config. Only the methods that it names are retried after UNAVAILABLE."""
    paths = [path.split("/") for path in (*READS, *WITH_REQUEST_ID)]
    names = [{"service": service, "method": method} for _, service, method in paths]
    names += [{"service": service} for service in STANDARD]
    return {"methodConfig": [{"name": names, "retryPolicy": RETRIES}]}


def _options() -> Sequence[tuple[str, str | int]]:
    return [
        ("grpc.service_config", json.dumps(service_config())),
        ("grpc.keepalive_time_ms", 30_000),
        # By default, attempts to connect are two minutes apart after a long outage.
        ("grpc.max_reconnect_backoff_ms", 30_000),
        # Manifests and the answers to imports can exceed the default of 4 MiB.
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ]


def _credentials(token: Token, ca: str | Path | None) -> grpc.ChannelCredentials:
    channel = grpc.ssl_channel_credentials(Path(ca).read_bytes() if ca else None)
    if not token:
        return channel
    return grpc.composite_channel_credentials(channel, grpc.metadata_call_credentials(_Bearer(token)))


class _Bearer(grpc.AuthMetadataPlugin):
    """Adds the token to the metadata of each call."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        token = self._token if isinstance(self._token, str) else self._token()
        callback((("authorization", f"Bearer {token}"),), None)
