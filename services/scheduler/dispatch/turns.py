"""Who has the event loop: dispatching first, and what callers ask for in small turns beside it.

A scheduler is one process with one event loop (threads share the interpreter's lock with it, and made things
worse). What a caller asks for must not delay what is due, so:

1. Dispatching says when it has work under way (`dispatching`). A call that begins then waits a moment.
2. Only some calls that a viewer may make are answered side by side (`answered`); others wait, a bounded time.
3. What takes long (lists, previews, exports) is worked on in slices of some milliseconds (`run`), one
   slice at a time in the whole process, with a rest after each. Of such calls only two are worked on at once.
   Between slices a caller who has left is noticed: the call is cancelled there.
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

# Calls that a viewer may make which are answered side by side, and of these, calls that take long.
ANSWERED = 4
LONG = 2
# A list of more entries takes long.
SHORT_PAGE = 100
# A call waits so long for its turn; whoever is refused is asked to come back after the second of these.
WAIT_SECONDS = 5.0
RETRY_SECONDS = 2.0
# What a slice takes of the event loop. The rest after it is as long as the slice took, twice as long while
# dispatching has work under way. So all long calls together take half of the loop at most, or a third, and
# dispatching waits for one slice at most.
SLICE_SECONDS = 0.002
# What takes no longer than this is done at once.
FIRST_SECONDS = 0.0005
# How long a call waits for dispatching at most before it begins. While a backlog is dispatched there is no
# moment without work under way, and callers still get on.
COURTESY_SECONDS = 0.01


class Place:
    """A call's place among those that are answered side by side. Left once, by whoever is first to."""

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
        """`wait_seconds`: how long a call waits for its turn at most."""
        self._wait_seconds = wait_seconds
        self._answered = asyncio.Semaphore(ANSWERED)
        self._long = asyncio.Semaphore(LONG)
        # Readers of the log of changes who are behind the present. They wait as long as it takes.
        self.catching_up = asyncio.Semaphore(LONG)
        self._slice = asyncio.Lock()
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextmanager
    def dispatching(self) -> Iterator[None]:
        """For as long as runs that are due are recorded or published."""
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
        """A step of the gRPC server: a call that a viewer may make is answered when it is its turn.

        Raises `Exhausted` when that takes too long. Calls of admins and services don't wait for viewers.
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
        """For a call that takes long. Raises `Exhausted` when as many as may are worked on for too long.

        The call leaves its place among those that are answered side by side: short calls don't wait for it.
        `is_long`: for a method whose calls may be either.
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
        """Takes all that the iterable gives, in slices. A step of it should take much less than a slice."""
        steps = iter(work)
        # Nothing to do, or nearly nothing, waits for nobody.
        ended = _slice(steps, time.perf_counter() + FIRST_SECONDS)
        while not ended:
            async with self._slice:
                begun = time.perf_counter()
                ended = _slice(steps, begun + SLICE_SECONDS)
                rest = time.perf_counter() - begun
                await asyncio.sleep(rest)
                await self._give_way(rest)

    async def _give_way(self, seconds: float) -> None:
        """Waits until dispatching has nothing under way, at most so long."""
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
    """Takes steps until the moment of time.perf_counter(); whether that was all."""
    return all(time.perf_counter() < until for _ in steps)
