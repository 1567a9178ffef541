"""Channels to a Celeriac gateway: TLS, a token on every call, retries of what never got through."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio

# A token, or what gives the current one: called for every call, so that it may be renewed.
Token = str | Callable[[], str]

# UNAVAILABLE means that the call was not carried out, or says so in its contract (retries then carry
# the same request_id); https://github.com/grpc/grpc/blob/master/doc/service_config.md
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def connect(target: str, *, token: Token = "", ca: str | Path | None = None) -> grpc.aio.Channel:
    """An asyncio channel to the gateway at `target` ("127.0.0.1:8443").

    `token` is sent as `authorization: Bearer …`; `ca` is a PEM file of the authority that signed the
    gateway's certificate (the system's own authorities when None). Nothing is sent before the first call.

        async with connect("127.0.0.1:8443", token=token, ca=".celeriac/ca.pem") as channel:
            schedules = schedules_pb2_grpc.ScheduleServiceStub(channel)
    """
    return grpc.aio.secure_channel(target, _credentials(token, ca), options=_options())


def connect_blocking(target: str, *, token: Token = "", ca: str | Path | None = None) -> grpc.Channel:
    """The same without asyncio: for scripts and threads."""
    return grpc.secure_channel(target, _credentials(token, ca), options=_options())


def _options() -> Sequence[tuple[str, str | int]]:
    return [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
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
