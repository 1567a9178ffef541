"""The network dies after a request has gone out: what the client repeats, for every method there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.channel import connect, connect_blocking
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from services.kernel.identity import Role
from services.kernel.policy import policy_of
from tests.support.calls import eventually
from tests.support.contract_server import METHODS, ContractServer, running_contract_server
from tests.support.proxy import Proxy


def _has_request_id(method: MethodDescriptor) -> bool:
    return "request_id" in method.input_type.fields_by_name and not method.client_streaming


MUTATIONS = {path: method for path, method in METHODS.items() if policy_of(method).audited}
READS = {
    path: method
    for path, method in METHODS.items()
    if path not in MUTATIONS and policy_of(method).least_role is not Role.SERVICE
}
WITH_REQUEST_ID = [path for path, method in MUTATIONS.items() if _has_request_id(method)]
WITHOUT_REQUEST_ID = [path for path in MUTATIONS if path not in WITH_REQUEST_ID]

# Makes one call of the method over the address, and gives what it answered.
Call = Callable[[str, str, Any], Any]


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ContractServer]:
    with running_contract_server(certificates) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: ContractServer) -> Iterator[Proxy]:
    with Proxy(server.port).running() as proxy:
        yield proxy


class Blocking:
    """Calls by `connect_blocking`."""

    def __init__(self, proxy: Proxy, ca: Path) -> None:
        self._proxy, self._ca = proxy, ca

    def call(self, path: str, request: Any, lose: Callable[[], None]) -> Any:
        with connect_blocking(f"127.0.0.1:{self._proxy.port}", ca=self._ca) as channel:
            grpc.channel_ready_future(channel).result(10)
            self._proxy.deafen()
            with ThreadPoolExecutor(1) as pool:
                answer: Future[Any] = pool.submit(self._answer, channel, path, request)
                lose()
                return answer.result()

    def _answer(self, channel: grpc.Channel, path: str, request: Any) -> Any:
        method = METHODS[path]
        call = _multi_callable(channel, path)
        answer = call(iter([request]) if method.client_streaming else request, timeout=20)
        return next(answer) if method.server_streaming else answer


class Asyncio:
    """Calls by `connect`."""

    def __init__(self, proxy: Proxy, ca: Path) -> None:
        self._proxy, self._ca = proxy, ca

    def call(self, path: str, request: Any, lose: Callable[[], None]) -> Any:
        return asyncio.run(self._call(path, request, lose))

    async def _call(self, path: str, request: Any, lose: Callable[[], None]) -> Any:
        async with connect(f"127.0.0.1:{self._proxy.port}", ca=self._ca) as channel:
            await asyncio.wait_for(channel.channel_ready(), 10)
            self._proxy.deafen()
            losing = asyncio.create_task(asyncio.to_thread(lose))
            try:
                return await self._answer(channel, path, request)
            finally:
                await losing

    async def _answer(self, channel: grpc.aio.Channel, path: str, request: Any) -> Any:
        method = METHODS[path]
        call = _multi_callable(channel, path)
        answer = call(iter([request]) if method.client_streaming else request, timeout=20)
        return await (answer.read() if method.server_streaming else answer)


def _multi_callable(channel: Any, path: str) -> Any:
    """As a generated stub makes it."""
    method = METHODS[path]
    shape = [("unary", "stream")[each] for each in (method.client_streaming, method.server_streaming)]
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    make = getattr(channel, "_".join(shape))
    return make(path, request_serializer=request.SerializeToString, response_deserializer=response.FromString)


@pytest.fixture(params=[Blocking, Asyncio])
def client(request: pytest.FixtureRequest, proxy: Proxy, certificates: Path) -> Any:
    return request.param(proxy, certificates / "ca.pem")


def request_of(path: str, **fields: Any) -> Any:
    return GetMessageClass(METHODS[path].input_type)(**fields)


def losing_the_answer(server: ContractServer, proxy: Proxy, path: str) -> Callable[[], None]:
    """Once the call has arrived and was carried out, its connection ends; the next one works."""
    before = len(server.requests(path))

    def lose() -> None:
        try:
            eventually(lambda: len(server.requests(path)) > before)
        finally:
            proxy.heal()

    return lose


def arrivals(server: ContractServer, path: str, during: Callable[[], object]) -> list[Any]:
    before = len(server.requests(path))
    during()
    return server.requests(path)[before:]


@pytest.mark.parametrize("path", WITH_REQUEST_ID)
def test_a_mutation_with_a_request_id_is_repeated_under_one_id_that_the_client_fills_in(
    client: Any, server: ContractServer, proxy: Proxy, path: str
) -> None:
    request = request_of(path)
    lose = losing_the_answer(server, proxy, path)
    first, second = arrivals(server, path, lambda: client.call(path, request, lose))
    assert len(first.request_id) >= 16
    assert first == second
    # The caller's own message may be sent again, for another effect.
    assert request == request_of(path)
    [other] = arrivals(server, path, lambda: client.call(path, request, proxy.go_on))
    assert other.request_id not in {"", first.request_id}


@pytest.mark.parametrize("path", WITH_REQUEST_ID[:1])
def test_a_request_id_of_the_callers_is_kept(
    client: Any, server: ContractServer, proxy: Proxy, path: str
) -> None:
    request = request_of(path, request_id="ticket-4711")
    lose = losing_the_answer(server, proxy, path)
    assert arrivals(server, path, lambda: client.call(path, request, lose)) == [request, request]


@pytest.mark.parametrize("path", WITHOUT_REQUEST_ID)
def test_a_mutation_without_a_request_id_is_sent_once_and_its_caller_is_told(
    client: Any, server: ContractServer, proxy: Proxy, path: str
) -> None:
    lose = losing_the_answer(server, proxy, path)

    def call() -> None:
        with pytest.raises(grpc.RpcError) as failed:
            client.call(path, request_of(path), lose)
        error: Any = failed.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE

    assert len(arrivals(server, path, call)) == 1


@pytest.mark.parametrize("path", READS)
def test_a_read_is_repeated(client: Any, server: ContractServer, proxy: Proxy, path: str) -> None:
    lose = losing_the_answer(server, proxy, path)
    assert len(arrivals(server, path, lambda: client.call(path, request_of(path), lose))) == 2


def test_a_request_that_comes_as_bytes_gets_a_request_id_unless_it_has_one(
    certificates: Path, server: ContractServer
) -> None:
    path = WITH_REQUEST_ID[0]
    with connect_blocking(f"127.0.0.1:{server.port}", ca=certificates / "ca.pem") as channel:
        call: Any = channel.unary_unary(path)

        def send() -> None:
            for request in (request_of(path), request_of(path, request_id="ticket-4711")):
                call(request.SerializeToString(), timeout=10)

        first, second = arrivals(server, path, send)
    assert len(first.request_id) >= 16
    assert second.request_id == "ticket-4711"
