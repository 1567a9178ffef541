"""The end of a process's background loops."""

from __future__ import annotations

import asyncio

from services.kernel.process import end


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
