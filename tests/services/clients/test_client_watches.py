"""Watches of `celeriac.connect()` before a server that ends its streams as a script says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import celeriac
import celeriac.aio
import grpc
import pytest
from celeriac import Gap, resuming
from celeriac.monitor.v1 import monitoring_pb2, tasks_pb2
from celeriac.monitor.v1.tasks import Task
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.support.calls import eventually
from tests.support.contract_server import ContractServer, running_contract_server

PATH = "/celeriac.monitor.v1.MonitoringService/WatchEvents"
# Takes events until so many are there.
Take = Callable[[int], list[Any]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "FIRST_PAUSE_SECONDS", 0.02)


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ContractServer]:
    with running_contract_server(certificates) as server:
        yield server


@pytest.fixture(params=["blocking", "asyncio"])
def take(request: pytest.FixtureRequest, server: ContractServer, certificates: Path) -> Take:
    server.arrived.clear()
    target, ca = f"127.0.0.1:{server.port}", certificates / "ca.pem"

    def blocking(count: int) -> list[Any]:
        found = []
        with celeriac.connect(target, ca=ca) as client:
            for event in client.monitoring.watch(states="FAILURE"):
                found.append(event)
                if len(found) == count:
                    break
        return found

    async def awaited(count: int) -> list[Any]:
        found: list[Any] = []
        async with celeriac.aio.connect(target, ca=ca) as client:
            async for event in client.monitoring.watch(states="FAILURE"):
                found.append(event)
                if len(found) == count:
                    break
        return found

    return blocking if request.param == "blocking" else lambda count: asyncio.run(awaited(count))


def task(number: int, left_out: int = 0) -> monitoring_pb2.WatchEventsResponse:
    found = tasks_pb2.Task(name=f"tasks/{number}")
    return monitoring_pb2.WatchEventsResponse(task=found, cursor=str(number), left_out_count=left_out)


def sign_of_life(cursor: str) -> monitoring_pb2.WatchEventsResponse:
    return monitoring_pb2.WatchEventsResponse(cursor=cursor)


def scripted(server: ContractServer, *streams: list[Any]) -> None:
    """Each stream that is begun gets the next list of messages, and then ends."""
    left = iter(streams)
    server.answers[PATH] = lambda _: next(left)


def cursors(server: ContractServer) -> list[str]:
    return [request.cursor for request in server.requests(PATH)]


def test_a_stream_that_ends_is_resumed_after_the_last_event_that_was_finished(
    server: ContractServer, take: Take
) -> None:
    scripted(server, [task(1), sign_of_life("2")], [task(3), task(4)])
    events = take(3)
    assert [event.id for event in events] == ["1", "3", "4"]
    assert all(isinstance(event, Task) for event in events)
    assert cursors(server) == ["", "2"]
    assert [list(request.states) for request in server.requests(PATH)] == [[5], [5]]


def test_events_that_were_left_out_are_told_where_they_are_missing(
    server: ContractServer, take: Take
) -> None:
    scripted(server, [task(1), task(9, left_out=7)])
    first, gap, last = take(3)
    assert gap == Gap(7)
    assert (first.id, last.id) == ("1", "9")


def test_a_cursor_that_expired_is_a_gap_of_unknown_size_and_the_watch_goes_on(
    server: ContractServer, take: Take
) -> None:
    script = iter([[task(1)], None, [task(8)]])

    def answer(_: Any) -> Iterator[Any]:
        messages = next(script)
        if messages is None:
            raise _Expired
        return iter(messages)

    server.answers[PATH] = answer
    first, gap, last = take(3)
    assert gap == Gap(None)
    assert (first.id, last.id) == ("1", "8")
    assert cursors(server) == ["", "1", ""]


class _Expired(Exception):
    """What the contract server answers as an error with status details."""

    status = status_pb2.Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0], message="too old")


def _with_reason(reason: str) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="celeriac"))
    return packed


_Expired.status.details.append(_with_reason("CURSOR_EXPIRED"))


def test_an_error_that_no_new_try_mends_is_raised_as_what_it_is(server: ContractServer, take: Take) -> None:
    def answer(_: Any) -> Iterator[Any]:
        raise _Denied

    server.answers[PATH] = answer
    with pytest.raises(celeriac.PermissionDenied) as failed:
        take(1)
    assert failed.value.reason == "ROLE_TOO_LOW"


class _Denied(Exception):
    status = status_pb2.Status(code=grpc.StatusCode.PERMISSION_DENIED.value[0], message="no")


_Denied.status.details.append(_with_reason("ROLE_TOO_LOW"))


def test_a_watch_knows_its_cursor(server: ContractServer, certificates: Path) -> None:
    scripted(server, [task(1), task(2)])
    with celeriac.connect(f"127.0.0.1:{server.port}", ca=certificates / "ca.pem") as client:
        watch = client.monitoring.watch(cursor="0")
        events = iter(watch)
        next(events)
        next(events)
        assert watch.cursor == "1"


def test_a_watch_that_is_closed_by_another_thread_ends(server: ContractServer, certificates: Path) -> None:
    over = threading.Event()

    def endless(_: Any) -> Iterator[Any]:
        yield task(1)
        over.wait(60)

    server.answers[PATH] = endless
    with celeriac.connect(f"127.0.0.1:{server.port}", ca=certificates / "ca.pem") as client:
        watch = client.monitoring.watch()
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.extend(watch))
        reader.start()
        # The position moves on when the reader asks for more.
        eventually(lambda: watch.cursor == "1")
        watch.close()
        reader.join(10)
        over.set()
        assert not reader.is_alive()
    assert [event.id for event in seen] == ["1"]
