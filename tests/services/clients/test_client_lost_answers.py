"""The network dies after a change has gone out: it happens once, and its caller is told the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import celeriac
import celeriac.aio
import grpc
import pytest
from celeriac.access.v1.repeatable import WITH_REQUEST_ID

from services.kernel.policy import policy_of
from tests.support.calls import eventually
from tests.support.client_calls import CLIENT_METHODS, call_of
from tests.support.contract_server import ContractServer, running_contract_server
from tests.support.proxy import Proxy

MUTATIONS = [path for path, method in CLIENT_METHODS.items() if policy_of(method).audited]
SENT_ONCE = [path for path in MUTATIONS if path not in WITH_REQUEST_ID]
Call = Callable[[str, Callable[[], None]], Any]


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ContractServer]:
    with running_contract_server(certificates) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server: ContractServer) -> Iterator[Proxy]:
    with Proxy(server.port).running() as proxy:
        yield proxy


@pytest.fixture(params=["blocking", "asyncio"])
def call(request: pytest.FixtureRequest, proxy: Proxy, certificates: Path) -> Call:
    """Calls the client's method of a path; the answer is lost by the function that is given, meanwhile."""
    target, ca = f"127.0.0.1:{proxy.port}", certificates / "ca.pem"

    def blocking(path: str, lose: Callable[[], None]) -> Any:
        with celeriac.connect(target, ca=ca) as client, ThreadPoolExecutor(1) as pool:
            grpc.channel_ready_future(client._channel).result(10)
            proxy.deafen()
            answer = pool.submit(call_of, client, path)
            lose()
            return answer.result()

    async def awaited(path: str, lose: Callable[[], None]) -> Any:
        async with celeriac.aio.connect(target, ca=ca) as client:
            await asyncio.wait_for(client._channel.channel_ready(), 10)
            proxy.deafen()
            losing = asyncio.create_task(asyncio.to_thread(lose))
            try:
                return await call_of(client, path)
            finally:
                await losing

    if request.param == "blocking":
        return blocking
    return lambda path, lose: asyncio.run(awaited(path, lose))


def losing(server: ContractServer, proxy: Proxy, path: str) -> Callable[[], None]:
    before = len(server.requests(path))

    def lose() -> None:
        try:
            eventually(lambda: len(server.requests(path)) > before)
        finally:
            proxy.heal()

    return lose


@pytest.mark.parametrize("path", WITH_REQUEST_ID)
def test_a_change_with_a_request_id_is_answered_by_the_second_try_under_the_same_id(
    call: Call, server: ContractServer, proxy: Proxy, path: str
) -> None:
    before = len(server.requests(path))
    call(path, losing(server, proxy, path))
    first, second = server.requests(path)[before:]
    assert first == second
    assert len(first.request_id) >= 16


@pytest.mark.parametrize("path", SENT_ONCE)
def test_any_other_change_is_sent_once_and_the_error_says_that_it_may_have_happened(
    call: Call, server: ContractServer, proxy: Proxy, path: str
) -> None:
    before = len(server.requests(path))
    with pytest.raises(celeriac.Unavailable, match="it may have been carried out") as failed:
        call(path, losing(server, proxy, path))
    assert failed.value.outcome_unknown
    assert failed.value.method == path
    assert len(server.requests(path)) == before + 1


def test_a_change_that_never_left_is_not_said_to_have_happened(certificates: Path) -> None:
    with (
        celeriac.connect("127.0.0.1:1", ca=certificates / "ca.pem") as client,
        pytest.raises(celeriac.Unavailable, match=r"nothing answers at 127.0.0.1:1") as failed,
    ):
        client.schedules.pause("nightly")
    assert not failed.value.outcome_unknown


def test_a_gateway_that_froze_holds_a_call_no_longer_than_its_deadline(
    server: ContractServer, proxy: Proxy, certificates: Path
) -> None:
    with celeriac.connect(f"127.0.0.1:{proxy.port}", ca=certificates / "ca.pem") as client:
        client.schedules.list().all()
        proxy.hang()
        try:
            with pytest.raises(celeriac.DeadlineExceeded):
                client.schedules.list(deadline=0.3).all()
        finally:
            proxy.heal()
