"""The end of background loops: each is cancelled until it has ended, alone or in a group."""

from __future__ import annotations

import asyncio

import pytest

from services.kernel import endings
from services.kernel.endings import end, to_the_end, undisturbed
from services.kernel.loops import Loop
from services.monitor.system.components import Components, Finding, Health


async def test_a_loop_that_took_its_cancellation_for_an_error_ends_all_the_same() -> None:
    began, taken = asyncio.Event(), 0

    async def looping() -> None:
        nonlocal taken
        while True:
            try:
                began.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                taken += 1
                if taken == 2:
                    raise

    loop, other = asyncio.create_task(looping()), asyncio.create_task(asyncio.Event().wait())
    await began.wait()
    async with asyncio.timeout(30):
        await end([loop, other])
    assert taken == 2 and loop.cancelled() and other.cancelled()


class TurningDriver:
    """Waits, and turns its first cancellation into an error of its own."""

    def __init__(self) -> None:
        self.waits, self.cancellations = asyncio.Event(), 0

    async def wait(self) -> None:
        try:
            self.waits.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancellations += 1
            if self.cancellations == 1:
                raise ConnectionError("the driver's own") from None
            raise


async def test_the_health_of_components_ends_though_a_driver_turned_the_cancellation_of_a_look() -> None:
    driver = TurningDriver()

    async def look() -> Finding:
        await driver.wait()
        return Finding(Health.HEALTHY, "")

    task = asyncio.create_task(Components({"database": look}).run())
    await driver.waits.wait()
    async with asyncio.timeout(30):
        await end([task])
    assert driver.cancellations and task.cancelled()


async def test_a_slip_in_one_loop_ends_a_neighbour_that_takes_its_cancellation_for_an_error() -> None:
    driver = TurningDriver()

    async def slips() -> None:
        await driver.waits.wait()
        raise KeyError("a slip of ours")

    loops = [Loop("healing", driver.wait, every=0.0, outlives=(OSError,)), Loop("pending", slips, every=1.0)]
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(to_the_end(loop.run()))
    assert raised.group_contains(KeyError) and driver.cancellations == 2


async def test_what_work_raises_at_its_end_is_raised_in_place_of_the_cancellation() -> None:
    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("a slip of ours")

    task = asyncio.create_task(to_the_end(fail_at_the_end()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(KeyError):
        await task


async def test_work_that_ends_by_itself_gives_its_result() -> None:
    assert await to_the_end(asyncio.sleep(0, "result")) == "result"


async def test_the_last_work_of_what_is_ended_is_done_however_often_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endings, "AGAIN_SECONDS", 0.01)
    began, written = asyncio.Event(), []

    async def last() -> None:
        for number in range(5):
            await asyncio.sleep(0.02)
            written.append(number)

    async def writing() -> None:
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            await undisturbed(last())

    task = asyncio.create_task(to_the_end(writing()))
    await began.wait()
    await end([task])
    assert task.cancelled() and written == [0, 1, 2, 3, 4]
