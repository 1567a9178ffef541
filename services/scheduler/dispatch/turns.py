"""Shares the event loop between dispatching, which comes first, and calls, which work in short slices.

A scheduler is one process with one event loop. (Threads were slower: they share the interpreter's lock with
it.) Calls must not delay dispatching, so:

1. Dispatching marks the time in which it is at work (`dispatching`). A call that begins then waits a moment.
2. Only a few calls of the methods that viewers may use are answered at the same time (`answered`). Others
   wait for a limited time.
3. Long work (lists, previews, exports) is done in slices of a few milliseconds (`run`): one slice at a time
   in the whole process, and a rest after each. At most two long calls are worked on at the same time. If the
   client has gone, its call is cancelled between two slices.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from services.kernel.errors import Exhausted
from services.kernel.grpc.call import Call
from services.kernel.identity import Role

# How many calls of viewers' methods are answered at the same time, and how many long calls.
ANSWERED = 4
LONG = 2
# A list with more entries than this is a long call.
SHORT_PAGE = 100
# How long a call waits for its turn, and after how long a refused client is asked to try again.
WAIT_SECONDS = 5.0
RETRY_SECONDS = 2.0
# The length of a slice. The rest after it is as long as the slice took, and up to twice as long while
# dispatching is at work. So all long calls together take at most half of the event loop's time (a third while
# dispatching is at work), and dispatching waits for one slice at most.
SLICE_SECONDS = 0.002
# Work that takes no longer than this is done at once, without slices.
FIRST_SECONDS = 0.0005
# The longest time that a call waits for dispatching before it begins. It is limited because dispatching is
# never idle during a backlog, and calls must still be answered.
COURTESY_SECONDS = 0.01
# The longest rest after a slice, however long the slice was.
MOST_REST_SECONDS = 0.25


class Place:
    """A call's place among those that are answered at the same time. Only the first `leave` has an effect."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places

    def leave(self) -> None:
        if self._places is not None:
            self._places.release()
            self._places = None


_place: ContextVar[Place | None] = ContextVar("place", default=None)


class Turns:
    """The event loop's time, shared between dispatching and the calls of one process."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """`wait_seconds`: the longest time that a call waits for its turn."""
        self._wait_seconds = wait_seconds
        self._answered = asyncio.Semaphore(ANSWERED)
        self._long = asyncio.Semaphore(LONG)
        # For watchers that read old entries of the log of changes. They wait for their turn without a limit.
        self.catching_up = asyncio.Semaphore(LONG)
        self._slice = asyncio.Lock()
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextmanager
    def dispatching(self) -> Iterator[None]:
        """Marks the time in which due runs are recorded or published."""
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    @asynccontextmanager
    async def answered(self, call: Call) -> AsyncIterator[None]:
        """A step of the gRPC server: a call of a method that viewers may use waits for its turn.

        Raises `Exhausted` when the wait is too long. Streams and methods that viewers may not use don't wait.
        """
        if call.policy.least_role is not Role.VIEWER or call.streams:
            yield
            return
        await self._entered(self._answered)
        place = Place(self._answered)
        token = _place.set(place)
        try:
            await self._give_way(COURTESY_SECONDS)
            yield
        finally:
            _place.reset(token)
            place.leave()

    @asynccontextmanager
    async def long(self, is_long: bool = True) -> AsyncIterator[None]:
        """Waits for a place among the long calls. Raises `Exhausted` when none becomes free in time.

        The call leaves its place among those that are answered at the same time, so that short calls don't
        wait for it. With `is_long` False nothing happens: for methods whose calls may be short or long.
        """
        if not is_long:
            yield
            return
        place = _place.get()
        if place is not None:
            place.leave()
        await self._entered(self._long)
        try:
            yield
        finally:
            self._long.release()

    async def run(self, work: Iterable[object]) -> None:
        """Runs the iterable to its end, in slices. Each of its steps should take much less than a slice."""
        steps = iter(work)
        # Very short work is done without waiting for a slice.
        ended = _slice(steps, time.perf_counter() + FIRST_SECONDS)
        while not ended:
            async with self._slice:
                begun = time.perf_counter()
                ended = _slice(steps, begun + SLICE_SECONDS)
                # A process that stood still meanwhile (a frozen machine) does not rest for as long: the
                # server would end the transaction in which it rests.
                rest = min(time.perf_counter() - begun, MOST_REST_SECONDS)
                await asyncio.sleep(rest)
                await self._give_way(rest)

    async def _give_way(self, seconds: float) -> None:
        """Waits until dispatching is not at work, for at most so many seconds."""
        if self._quiet.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()

    async def _entered(self, places: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await places.acquire()
        except TimeoutError:
            fault = f"other calls are being answered, and no turn came within {self._wait_seconds:g} s"
            raise Exhausted(f"{fault}; try again later", RETRY_SECONDS) from None


def _slice(steps: Iterator[object], until: float) -> bool:
    """Takes steps until `until`, by time.perf_counter(). Returns whether the work is done."""
    return all(time.perf_counter() < until for _ in steps)
