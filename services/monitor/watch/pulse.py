"""The current figures, taken once for all watchers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis.exceptions

from services.kernel.loops import UNTIL_WOKEN, Again, Loop
from services.monitor.figures import Figures, Snapshot
from services.monitor.pace import USUAL, Pace
from services.monitor.queues import BrokerQueues, Queue
from services.monitor.totals.totals import Totals
from services.monitor.workers.workers import WorkerTable

# Queue lengths that were read longer ago than this are not reported.
STALE_SECONDS = 2.0
MOST_QUEUES = 200
# For so long after somebody asked, the queues are read again and again; else nobody would see what is read.
ASKED_SECONDS = 5.0
# The first who asks waits for the queues, but no longer than this.
FIRST_SECONDS = 1.0
# Figures younger than this are reused, as there may be many watchers. This is half of the shortest interval
# that a watcher may choose, so that no watcher gets the same figures twice.
FRESH_SECONDS = 0.1


@dataclass(frozen=True)
class Moment:
    """All figures of one moment. `queues`: the longest ones; empty while the broker is away.

    `queues_known`: whether they could be read.
    """

    taken_at: float
    snapshot: Snapshot
    online_workers: int
    active_tasks: int
    queues: Sequence[Queue]
    queues_known: bool = True


class Pulse:
    """Combines the lengths of queues, read by its `loop`, with the figures that come from events.

    The queues are read only while somebody asks for them. `totals`: those of all monitors; without them, what
    this process has counted is told.
    """

    def __init__(
        self,
        figures: Figures,
        workers: WorkerTable,
        queues: BrokerQueues,
        pace: Pace = USUAL,
        totals: Totals | None = None,
    ) -> None:
        self._totals = totals
        self._figures = figures
        self._workers = workers
        self._broker_queues = queues
        self._queues: tuple[Queue, ...] = ()
        self._read_at = self._asked_at = float("-inf")
        self._asked, self._tried = asyncio.Event(), asyncio.Event()
        # Held by the one that takes the figures for all who ask meanwhile.
        self._taking = asyncio.Lock()
        self._moment: Moment | None = None
        self._taken = float("-inf")
        self.loop = Loop(
            "queues",
            self._read_queues,
            every=pace.queues_look,
            outlives=(redis.exceptions.RedisError, OSError),
            failed="queues.not_read",
            woken=self._asked,
        )

    async def _read_queues(self) -> Again | None:
        if time.monotonic() - self._asked_at > ASKED_SECONDS:
            self._tried.clear()
            return UNTIL_WOKEN
        try:
            self._queues = longest(await self._broker_queues.read())
            self._read_at = time.monotonic()
        finally:
            self._tried.set()
        return None

    async def queues(self) -> Sequence[Queue]:
        """Returns the longest queues, as read within the last STALE_SECONDS; none if that failed."""
        self._asked_at = time.monotonic()
        if not self._tried.is_set():
            self._asked.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SECONDS):
                    await self._tried.wait()
        return self._queues if self._queues_known else ()

    @property
    def _queues_known(self) -> bool:
        return time.monotonic() - self._read_at <= STALE_SECONDS

    async def now(self) -> Moment:
        """Returns figures that are at most FRESH_SECONDS old; callers may get the same object."""
        queues = await self.queues()
        async with self._taking:
            if self._moment is None or time.monotonic() - self._taken > FRESH_SECONDS:
                if self._totals is not None:
                    await self._totals.refresh()
                self._taken = time.monotonic()
                self._moment = self._taken_now(queues)
            return self._moment

    def _taken_now(self, queues: Sequence[Queue]) -> Moment:
        return Moment(
            taken_at=time.time(),
            snapshot=self._figures.snapshot(self._taken, counts=self._totals),
            online_workers=len(self._workers.online()),
            active_tasks=self._workers.active(),
            queues=queues,
            queues_known=self._queues_known,
        )


def longest(queues: Sequence[Queue], most: int = MOST_QUEUES) -> tuple[Queue, ...]:
    """Returns the longest queues first, those of one length by name."""
    return tuple(sorted(queues, key=lambda queue: (-queue.length, queue.name))[:most])
