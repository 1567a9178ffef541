"""Dispatching comes first; what callers ask for is worked on in slices, some at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from services.kernel.errors import Exhausted
from services.scheduler.dispatch.turns import LONG, SLICE_SECONDS, Turns


def busy(steps: list[int], reached: asyncio.Event | None = None, most: int = 1) -> Iterator[None]:
    """Work without an end, a tenth of a slice a step; notes each, and when there are so many."""
    for number in range(10**9):
        if reached is not None and len(steps) >= most:
            reached.set()
        until = time.perf_counter() + SLICE_SECONDS / 10
        while time.perf_counter() < until:
            pass
        steps.append(number)
        yield


async def test_work_ends_with_its_caller() -> None:
    turns, steps, begun = Turns(), list[int](), asyncio.Event()
    call = asyncio.create_task(turns.run(busy(steps, begun)))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    done = len(steps)
    # Whoever comes next has its turn, and nothing of the work goes on meanwhile.
    await turns.run(iter(range(1000)))
    assert len(steps) == done


async def test_a_process_that_stood_still_does_not_rest_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have a transaction open, which the server ends when it is idle for ten seconds."""
    turns, stood = Turns(), 0.0
    clock = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + stood)

    def work() -> Iterator[None]:
        nonlocal stood
        for _ in range(3):
            yield
            # The machine is frozen for a minute.
            stood += 60

    async with asyncio.timeout(20):
        await turns.run(work())


async def test_long_calls_take_half_of_the_time_together_however_many_they_are() -> None:
    """The rest is for dispatching: 300 steps are 30 slices at least, and there are rests as long."""
    turns, worked = Turns(), [(list[int](), asyncio.Event()) for _ in range(6)]
    begun = time.perf_counter()
    calls = [asyncio.create_task(turns.run(busy(*each, most=50))) for each in worked]
    await asyncio.gather(*(reached.wait() for _, reached in worked))
    elapsed = time.perf_counter() - begun
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert elapsed * 0.6 > 300 * SLICE_SECONDS / 10


async def test_more_long_calls_than_may_be_worked_on_are_told_to_come_back() -> None:
    turns, ended = Turns(wait_seconds=0.01), asyncio.Event()

    async def long_call() -> None:
        async with turns.long():
            await ended.wait()

    calls = [asyncio.create_task(long_call()) for _ in range(LONG + 1)]
    with pytest.raises(Exhausted) as refused:
        await calls[LONG]
    assert refused.value.retry_after > 0
    ended.set()
    await asyncio.gather(*calls[:LONG])
    await long_call()


async def test_a_caller_that_leaves_makes_room() -> None:
    turns = Turns(wait_seconds=5)
    calls = [asyncio.create_task(_endless(turns)) for _ in range(LONG)]
    await asyncio.sleep(0)
    calls[0].cancel()
    async with turns.long():
        pass
    calls[1].cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def _endless(turns: Turns) -> None:
    async with turns.long():
        await turns.run(busy([]))


async def test_work_goes_on_while_there_is_no_end_of_what_is_due() -> None:
    turns, done = Turns(), list[int]()
    with turns.dispatching():
        await turns.run(map(done.append, range(20_000)))
    assert len(done) == 20_000
