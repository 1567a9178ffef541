"""A TLS server that answers every method of every contract, and tells what arrived."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from deploy.envoy.contracts import installed_contracts

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in installed_contracts()
    for service in file.services_by_name.values()
    for method in service.methods
}


@dataclass
class ContractServer:
    """`arrived` has the request of each call, by the method's path; of a client stream, a list of them.

    `answers` has the answer of a method, or a function of the request that gives it; of a server stream, a
    list of answers. Others answer an empty message. If the function raises an exception with a `status` (a
    google.rpc.Status), the call ends with it.
    """

    port: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    arrived: list[tuple[str, Any]] = field(default_factory=list)

    def requests(self, path: str) -> list[Any]:
        return [request for method, request in list(self.arrived) if method == path]

    def _handler(self, path: str, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

        def answer(sent: Any, context: grpc.ServicerContext) -> Any:
            self.arrived.append((path, list(sent) if method.client_streaming else sent))
            empty = [response()] if method.server_streaming else response()
            found = self.answers.get(path, empty)
            if callable(found):
                try:
                    found = found(sent)
                except Exception as error:
                    _end_with(context, error)
            return iter(found) if method.server_streaming else found

        make: dict[tuple[bool, bool], Callable[..., grpc.RpcMethodHandler[Any, Any]]] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }
        kind = method.client_streaming, method.server_streaming
        return make[kind](answer, request.FromString, response.SerializeToString)

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        found: dict[str, dict[str, Any]] = {}
        for path, method in METHODS.items():
            service = method.containing_service.full_name
            found.setdefault(service, {})[method.name] = self._handler(path, method)
        return [grpc.method_handlers_generic_handler(*service) for service in found.items()]


def _end_with(context: grpc.ServicerContext, error: Exception) -> None:
    status: Any = getattr(error, "status", None)
    if status is None:
        raise error
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    codes = {each.value[0]: each for each in grpc.StatusCode}
    context.abort(codes[status.code], status.message)


@contextlib.contextmanager
def running_contract_server(state: Path) -> Iterator[ContractServer]:
    """With the gateway's certificate, as a client of the gateway expects it."""
    told = ContractServer()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(told.handlers())
    pair = (state / "certs/gateway.key").read_bytes(), (state / "certs/gateway.crt").read_bytes()
    told.port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield told
    finally:
        server.stop(None).wait()
