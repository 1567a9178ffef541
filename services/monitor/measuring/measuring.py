"""The reading of all measures, every few seconds, and who is told of each."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import psutil
import structlog
from redis.exceptions import RedisError

from services.kernel.errors import CeleriacError
from services.kernel.logged_errors import for_log
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.measuring.measures import Reading, Values, storable
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# What keeps one source or follower from its work, and the others not.
FAULTS = (psutil.Error, RedisError, OSError, CeleriacError, *DATABASE_ERRORS)
# What a source does not tell within this time is not known.
SOURCE_SECONDS = 6.0
# Sources that are asked at the same time: each may take a connection to the database, which then stays open.
MOST_AT_ONCE = 3

# Returns values by the measure's name, without those that it does not know. It may raise FAULTS.
Source: TypeAlias = Callable[[], Awaitable[Mapping[str, Values]]]
Follower: TypeAlias = Callable[[Reading], Awaitable[None]]


class Measuring:
    """Asks its sources in its `loop`, a few at the same time, and tells the followers one after another.

    Readings are taken at whole multiples of the interval since 1970, so that all monitors take theirs at the
    same moments, and each interval has one.
    """

    def __init__(self, sources: Sequence[Source], pace: Pace = USUAL) -> None:
        self.newest: Reading | None = None
        self._sources = sources
        self._followers: list[Follower] = []
        # The sources that failed at the last reading: it is logged once.
        self._failing: set[str] = set()
        self._every = pace.measure
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self.loop = Loop("measuring", self._step, every=pace.measure)

    def follow(self, callback: Follower) -> None:
        """Has the callback awaited with each reading. One that raises FAULTS does not stop the others."""
        self._followers.append(callback)

    async def read(self) -> Reading:
        """Takes a reading now, and tells of it."""
        found = await asyncio.gather(*map(self._ask, self._sources))
        # Values of one measure may come from several sources, each for subjects of its own.
        values: dict[str, dict[str, float]] = {}
        for told in found:
            for name, by_subject in told.items():
                values.setdefault(name, {}).update((storable(each), by_subject[each]) for each in by_subject)
        self.newest = reading = Reading(dt.datetime.now(dt.UTC), values)
        for follower in self._followers:
            await self._tell(follower, reading)
        return reading

    async def _step(self) -> Again:
        await self.read()
        return Again(until_next(time.time(), self._every))

    async def _ask(self, source: Source) -> Mapping[str, Values]:
        name = _name(source)
        try:
            async with self._room, asyncio.timeout(SOURCE_SECONDS):
                told = await source()
        except FAULTS as error:
            if name not in self._failing:
                self._failing.add(name)
                log.warning("measures.not_known", source=name, error=for_log(error))
            return {}
        self._failing.discard(name)
        return told

    async def _tell(self, follower: Follower, reading: Reading) -> None:
        try:
            await follower(reading)
        except FAULTS as error:
            log.warning("measures.not_taken", follower=_name(follower), error=for_log(error))


def until_next(now: float, every: float) -> float:
    """Returns the seconds until the next multiple of `every`, at least half of it. `now`: since 1970."""
    seconds = every - now % every
    return seconds if seconds >= every / 2 else seconds + every


def _name(called: Source | Follower) -> str:
    return getattr(called, "__qualname__", repr(called))
