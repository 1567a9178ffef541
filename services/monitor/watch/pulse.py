"""The current figures, taken once for all watchers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis.exceptions

from services.kernel.loops import Loop
from services.monitor.figures import Figures, Snapshot
from services.monitor.pace import USUAL, Pace
from services.monitor.queues import BrokerQueues, Queue
from services.monitor.workers.workers import WorkerTable

# Queue lengths that were read longer ago than this are not reported.
STALE_SECONDS = 2.0
MOST_QUEUES = 200
# Figures younger than this are reused, as there may be many watchers. This is half of the shortest interval
# that a watcher may choose, so that no watcher gets the same figures twice.
FRESH_SECONDS = 0.1


@dataclass(frozen=True)
class Moment:
    """All figures of one moment. `queues`: the longest ones; empty while the broker is away."""

    taken_at: float
    snapshot: Snapshot
    online_workers: int
    active_tasks: int
    queues: Sequence[Queue]


class Pulse:
    """Combines the lengths of queues, read by its `loop`, with the figures that come from events."""

    def __init__(
        self, figures: Figures, workers: WorkerTable, queues: BrokerQueues, pace: Pace = USUAL
    ) -> None:
        self._figures = figures
        self._workers = workers
        self._broker_queues = queues
        self._queues: tuple[Queue, ...] = ()
        self._read_at = float("-inf")
        self._moment: Moment | None = None
        self._taken = float("-inf")
        self.loop = Loop(
            "queues",
            self._read_queues,
            every=pace.queues_look,
            outlives=(redis.exceptions.RedisError, OSError),
            failed="queues.not_read",
        )

    async def _read_queues(self) -> None:
        self._queues = _longest(await self._broker_queues.read())
        self._read_at = time.monotonic()

    @property
    def queues(self) -> Sequence[Queue]:
        """The longest queues, as read within the last STALE_SECONDS; empty if that failed."""
        return self._queues if time.monotonic() - self._read_at <= STALE_SECONDS else ()

    def now(self) -> Moment:
        """Returns figures that are at most FRESH_SECONDS old; callers may get the same object."""
        now = time.monotonic()
        if self._moment is None or now - self._taken > FRESH_SECONDS:
            self._taken = now
            self._moment = Moment(
                taken_at=time.time(),
                snapshot=self._figures.snapshot(now),
                online_workers=len(self._workers.online()),
                active_tasks=self._workers.active(),
                queues=self.queues,
            )
        return self._moment


def _longest(queues: Sequence[Queue]) -> tuple[Queue, ...]:
    return tuple(sorted(queues, key=lambda queue: (-queue.length, queue.name))[:MOST_QUEUES])
