"""The kernel's gRPC server in the test's own process, and calls to it with any certificate and token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from prometheus_client import CollectorRegistry

from services.kernel.grpc.server import Server, Servicer
from services.kernel.grpc.steps import steps_of_every_call
from services.kernel.metrics import CallMetrics
from services.kernel.settings import KernelSettings
from services.kernel.tokens import TokenVerifier


@dataclass
class KernelServer:
    """A running server."""

    port: int
    state: Path

    async def call(
        self, method: MethodDescriptor, request: Any, token: str = "", component: str = "gateway"
    ) -> Any:
        """Returns the answer; of a stream, its first message."""
        credentials = grpc.ssl_channel_credentials(
            (self.state / "ca.pem").read_bytes(),
            (self.state / f"certs/{component}.key").read_bytes(),
            (self.state / f"certs/{component}.crt").read_bytes(),
        )
        path = f"/{method.containing_service.full_name}/{method.name}"
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        answer = GetMessageClass(method.output_type).FromString
        async with grpc.aio.secure_channel(f"localhost:{self.port}", credentials) as channel:
            make = channel.unary_stream if method.server_streaming else channel.unary_unary
            call: Any = make(path, type(request).SerializeToString, answer)(
                request, metadata=metadata, timeout=30
            )
            return await call.read() if method.server_streaming else await call


@asynccontextmanager
async def kernel_server(
    settings: KernelSettings, state: Path, servicers: Sequence[Servicer]
) -> AsyncIterator[KernelServer]:
    """A server with all steps of a service's but the audit step, which needs a database."""
    verifier = TokenVerifier(settings.token_keys, settings.token_issuer, settings.token_audience)
    steps = steps_of_every_call(CallMetrics(CollectorRegistry()), verifier, [])
    server = Server(settings, servicers, steps)
    await server.start()
    try:
        yield KernelServer(server.port, state)
    finally:
        await server.stop(0)
