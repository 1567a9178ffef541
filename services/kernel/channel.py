"""Channels to the other services, over mutual TLS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import grpc
import grpc.aio

from services.kernel.certificates import Certificates
from services.kernel.request_ids import METADATA, current_request_id
from services.kernel.settings import KernelSettings

OPTIONS = [
    # No probes of the bandwidth: each call would wake both processes twice more (a ping and its answer), and
    # the usual window is enough within a data centre.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # A service that starts late is reached soon after it is there.
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Calls are spread over all addresses that the name has: the replicas of a service.
    ("grpc.lb_policy_name", "round_robin"),
]


def channel_to(service: str, settings: KernelSettings) -> grpc.aio.Channel:
    """Returns a channel to the replicas of one of SERVICES.

    It presents this process's certificate, also after that was renewed, and the other side must have the
    certificate of that service. gRPC itself sends a call again if it never reached the other side.
    """
    target = _target(getattr(settings, f"{service}_address"))
    return _Renewed(target, f"{service}.celeriac.internal", Certificates(settings))


def _target(address: str) -> str:
    """Returns the address as gRPC takes it: several IP addresses by the scheme of their family."""
    if "," not in address:
        return address
    return f"ipv6:{address}" if address.startswith("[") else f"ipv4:{address}"


class _Renewed(grpc.aio.Channel):
    """A channel whose calls go over a new connection once the certificate was renewed.

    Calls that are under way stay on the old connection, which was accepted with the old certificate; so a
    channel is kept until this one is closed.
    """

    def __init__(self, target: str, name: str, certificates: Certificates) -> None:
        self._target = target
        # The name that the other side's certificate must have, whatever the address.
        self._options = [*OPTIONS, ("grpc.default_authority", name)]
        self._certificates = certificates
        self._channels: list[grpc.aio.Channel] = []
        self._version = 0

    @property
    def _newest(self) -> grpc.aio.Channel:
        pem = self._certificates.newest()
        if self._version != self._certificates.version:
            self._version = self._certificates.version
            credentials = grpc.ssl_channel_credentials(pem.ca, pem.key, pem.certificate)
            self._channels.append(grpc.aio.secure_channel(self._target, credentials, options=self._options))
        return self._channels[-1]

    def _call(self, kind: str, method: str, *given: Any, **named: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if request_id := current_request_id():
                # So that the other service's lines are found by it, too.
                options["metadata"] = (*(options.get("metadata") or ()), (METADATA, request_id))
            return getattr(self._newest, kind)(method, *given, **named)(*arguments, **options)

        return call

    # The arguments are those of grpc.aio.Channel, which the generated stubs give by name.
    def unary_unary(self, method: str, *given: Any, **named: Any) -> Any:
        return self._call("unary_unary", method, *given, **named)

    def unary_stream(self, method: str, *given: Any, **named: Any) -> Any:
        return self._call("unary_stream", method, *given, **named)

    def stream_unary(self, method: str, *given: Any, **named: Any) -> Any:
        return self._call("stream_unary", method, *given, **named)

    def stream_stream(self, method: str, *given: Any, **named: Any) -> Any:
        return self._call("stream_stream", method, *given, **named)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close(None)

    async def close(self, grace: float | None = None) -> None:
        for channel in self._channels:
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._newest.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._newest.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._newest.channel_ready()
