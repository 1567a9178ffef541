"""The gaps of the events that this monitor has seen, until each is a record in the database."""

from __future__ import annotations

import asyncio
import enum
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

# While the database is away, more than so many are joined to the newest.
MOST = 1_000


class GapCause(enum.Enum):
    """Why events were missed; celeriac.monitor.v1.EventGapCause has the meaning of each."""

    RELAY_CUT = "relay cut"
    SUBSCRIPTION_CUT = "subscription cut"
    STREAM_FULL = "stream full"
    STREAM_LOST = "stream lost"
    MONITOR_STOPPED = "monitor stopped"
    WORKER_COUNT = "worker count"
    COLLECTION_STOPPED = "stopped"


@dataclass(frozen=True)
class SeenGap:
    """A time in which events were missed, in seconds since 1970.

    `missed`: how many messages or events, at least; None: not known.
    """

    cause: GapCause
    since: float
    until: float
    missed: int | None = None


class SeenGaps:
    """Gaps that wait to be recorded. `news` is set when one comes, and when events begin to be heard."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        # Each with the time (time.monotonic()) at which it was seen.
        self._waiting: deque[tuple[float, SeenGap]] = deque()

    @property
    def unwritten_since(self) -> float | None:
        """The time (time.monotonic()) since which one waits; None: none does."""
        return self._waiting[0][0] if self._waiting else None

    def put(self, gap: SeenGap) -> None:
        if len(self._waiting) < MOST:
            self._waiting.append((time.monotonic(), gap))
        else:
            seen, last = self._waiting.pop()
            since, until = min(last.since, gap.since), max(last.until, gap.until)
            self._waiting.append((seen, replace(gap, since=since, until=until)))
        self.news.set()

    def drop_until(self, moment: float) -> None:
        """Drops those that were seen until then (time.monotonic()): another monitor has recorded them."""
        while self._waiting and self._waiting[0][0] <= moment:
            self._waiting.popleft()

    def waiting(self) -> Sequence[SeenGap]:
        return [gap for _, gap in self._waiting]

    def recorded(self) -> None:
        """Takes in that the one that has waited longest is in the database."""
        self._waiting.popleft()
