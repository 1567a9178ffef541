"""The figures of the moment, taken once for all who look."""

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

# What was read earlier is no longer the figure of the moment.
STALE_SECONDS = 2.0
MOST_QUEUES = 200
# Figures younger than this are handed out again: many may watch. Half of the shortest interval that anybody
# may watch at, so that nobody is handed the same ones twice.
FRESH_SECONDS = 0.1


@dataclass(frozen=True)
class Moment:
    """All figures of one moment; `queues` are the longest, none while the broker is away."""

    taken_at: float
    snapshot: Snapshot
    online_workers: int
    active_tasks: int
    queues: Sequence[Queue]


class Pulse:
    """Looks at the queues each second, and puts them together with what the events tell."""

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
        """The longest, as read within the last two seconds; none when that failed."""
        return self._queues if time.monotonic() - self._read_at <= STALE_SECONDS else ()

    def now(self) -> Moment:
        """The figures, at most a tenth of a second old: the same object for all who ask meanwhile."""
        now = time.monotonic()
        if self._moment is None or now - self._taken > FRESH_SECONDS:
            self._taken = now
            self._moment = Moment(
                taken_at=time.time(),
                snapshot=self._figures.snapshot(now),
                online_workers=self._workers.online(),
                active_tasks=self._workers.active(),
                queues=self.queues,
            )
        return self._moment


def _longest(queues: Sequence[Queue]) -> tuple[Queue, ...]:
    return tuple(sorted(queues, key=lambda queue: (-queue.length, queue.name))[:MOST_QUEUES])
