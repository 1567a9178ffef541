"""Channels to the other services, over mutual TLS."""

from __future__ import annotations

import grpc
import grpc.aio

from services.kernel.settings import KernelSettings


def channel_to(address: str, settings: KernelSettings) -> grpc.aio.Channel:
    """Returns a channel that presents this service's certificate.

    gRPC itself sends a call again if it never reached the other side.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=settings.tls_ca.read_bytes(),
        private_key=settings.tls_key.read_bytes(),
        certificate_chain=settings.tls_certificate.read_bytes(),
    )
    return grpc.aio.secure_channel(
        address,
        credentials,
        options=[
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5_000),
        ],
    )
