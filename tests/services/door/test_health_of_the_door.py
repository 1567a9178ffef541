"""How the monitor asks the door for its health: on one connection, whose end tells of the door's."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from deploy.standalone.tokens import LocalIssuer
from services.kernel.certificates import Certificates
from services.monitor.system.components import Followed, Health, look_once
from services.monitor.system.door import door as asking
from tests.support.doors import DoorProcess, running_door
from tests.support.ports import free_port
from tests.support.settings import kernel_settings


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs the test on the event loop that the monitor has: its transports are of other classes."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        uvloop.run(test(**fixtures))

    return run


@pytest.fixture
def own_door(certificates: Path, tokens: LocalIssuer, database_url: str) -> Iterator[DoorProcess]:
    """A door that the test may end."""
    with running_door(certificates, database_url) as running:
        yield running


@pytest.fixture
def monitors(certificates: Path, tokens: LocalIssuer) -> Certificates:
    """The monitor's certificates."""
    return Certificates(kernel_settings(certificates, tokens, "monitor"))


@asynccontextmanager
async def following(asked: Followed) -> AsyncIterator[asyncio.Event]:
    changed = asyncio.Event()
    task = asyncio.create_task(asked.follow(changed))
    try:
        yield changed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # What is cut off is closed in the next round of the loop.
        await asyncio.sleep(0)


async def health(asked: Followed) -> Health:
    return (await look_once("door", asked.look)).health


def connections_to(process: DoorProcess) -> set[int]:
    """The ports of this process that are connected to the door."""
    return {
        each.laddr.port
        for each in psutil.Process().net_connections("tcp")
        if each.status == psutil.CONN_ESTABLISHED and each.raddr.port == process.port
    }


@on_uvloop
async def test_a_door_that_is_well_is_asked_again_and_again_on_one_connection(
    door: DoorProcess, monitors: Certificates
) -> None:
    asked = asking(door.address, monitors)
    before = connections_to(door)
    async with following(asked):
        assert await health(asked) is Health.HEALTHY
        [first] = connections_to(door) - before
        for _ in range(3):
            assert await health(asked) is Health.HEALTHY
        assert connections_to(door) - before == {first}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@on_uvloop
async def test_the_end_of_a_door_is_told_at_once_and_its_return_is_seen(
    own_door: DoorProcess, monitors: Certificates, number: signal.Signals
) -> None:
    asked = asking(own_door.address, monitors)
    async with following(asked) as changed, asyncio.timeout(60):
        assert await health(asked) is Health.HEALTHY
        assert not changed.is_set()
        assert own_door.process is not None
        own_door.process.send_signal(number)
        await changed.wait()
        own_door.process.wait(30)
        assert await health(asked) is Health.UNHEALTHY
        await asyncio.to_thread(own_door.start)
        assert await health(asked) is Health.HEALTHY


@on_uvloop
async def test_a_door_that_stands_still_is_unwell_and_well_again_when_it_goes_on(
    own_door: DoorProcess, monitors: Certificates
) -> None:
    asked = asking(own_door.address, monitors)
    async with following(asked):
        assert await health(asked) is Health.HEALTHY
        assert own_door.process is not None
        os.kill(own_door.process.pid, signal.SIGSTOP)
        try:
            assert await health(asked) is Health.UNHEALTHY
        finally:
            os.kill(own_door.process.pid, signal.SIGCONT)
        assert await health(asked) is Health.HEALTHY


@on_uvloop
async def test_of_two_doors_one_that_is_away_is_told_by_its_address(
    door: DoorProcess, monitors: Certificates
) -> None:
    away = f"127.0.0.1:{free_port()}"
    asked = asking(f"{door.address},{away}", monitors)
    async with following(asked):
        found = await look_once("door", asked.look)
    assert found.health is Health.DEGRADED
    assert away in found.detail and door.address not in found.detail
