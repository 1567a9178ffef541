"""How fast messages come into a queue and leave it, between looks at the queues.

The broker counts neither. What left a queue is what workers received, by their events; what came is that, and
what the queue grew by. So nobody has to look while nobody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.monitor.queues import Queue

WINDOW_SECONDS = 60.0
# Two looks that are closer together than this tell no rate.
SHORTEST_SECONDS = 1.0


@dataclass(frozen=True)
class Flow:
    """Messages a second, and the seconds until the queue is empty; None if it does not become shorter."""

    arrivals: float
    deliveries: float
    time_to_empty: float | None


@dataclass(frozen=True)
class _Look:
    at: float
    lengths: Mapping[str, int]
    received: Mapping[str, int]
    of_all: bool


class Flows:
    """`received`: how many tasks of each queue workers have received, counted from some moment on."""

    def __init__(self, received: Callable[[], Mapping[str, int]]) -> None:
        self._received = received
        self._looks: deque[_Look] = deque()

    def look(self, queues: Sequence[Queue], now: float, *, of_all: bool = True) -> Mapping[str, Flow]:
        """Takes in a look at queues; returns the flow of each since the first look within a minute.

        `of_all`: whether there are no others. If there are, one that was not seen before has no flow yet.
        """
        look = _Look(now, {queue.name: queue.length for queue in queues}, self._received(), of_all)
        while self._looks and now - self._looks[0].at > WINDOW_SECONDS:
            self._looks.popleft()
        first = self._looks[0] if self._looks else look
        if not self._looks or now - self._looks[-1].at >= SHORTEST_SECONDS:
            self._looks.append(look)
        seconds = now - first.at
        if seconds < SHORTEST_SECONDS:
            return {}
        known = [queue for queue in look.lengths if first.of_all or queue in first.lengths]
        return {queue: _flow(first, look, queue, seconds) for queue in known}


def _flow(first: _Look, last: _Look, queue: str, seconds: float) -> Flow:
    growth = (last.lengths[queue] - first.lengths.get(queue, 0)) / seconds
    deliveries = (last.received.get(queue, 0) - first.received.get(queue, 0)) / seconds
    # Events come a moment after what they tell, or do not tell the queue: a queue can't have lost arrivals.
    arrivals = max(0.0, deliveries + growth)
    empty = last.lengths[queue] / -growth if growth < 0 else None
    return Flow(arrivals, deliveries, empty)
