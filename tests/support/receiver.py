"""A gRPC server in the place of a service, which keeps what the gateway sends it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


class Receiver(grpc.GenericRpcHandler):
    """Keeps the bytes of each call by its method, and answers it with an empty message."""

    def __init__(self) -> None:
        self.received: dict[str, bytes] = {}

    def service(self, details: Any) -> Any:
        def keep(request: bytes, context: Any) -> bytes:
            self.received[details.method] = request
            return b""

        def keep_and_stream(request: bytes, context: Any) -> Iterator[bytes]:
            yield keep(request, context)

        if details.method.startswith("/grpc.health."):
            return None
        if "/Watch" in details.method:
            return grpc.unary_stream_rpc_method_handler(keep_and_stream)
        return grpc.unary_unary_rpc_method_handler(keep)


@contextlib.contextmanager
def receiving(state: Path, receiver: Receiver, service: str, probed: list[str]) -> Iterator[int]:
    """Serves with the certificate of `service`, healthy under the names `probed`; gives the port."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    healthy = health.HealthServicer()
    for name in probed:
        healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    server.add_generic_rpc_handlers((receiver,))
    key = (state / f"certs/{service}.key").read_bytes()
    certificate = (state / f"certs/{service}.crt").read_bytes()
    authority = (state / "ca.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
