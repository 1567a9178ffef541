"""What this monitor has counted, by the place in the events at which it was counted.

Every monitor counts all that it reads, and only the one that writes adds it to the totals, together with the
place up to which it has counted. The others drop what they counted up to that place. So when one of them
becomes the writer, it adds exactly what comes after the place: no event is counted twice, or left out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from services.monitor.totals.counted import Counted, together
from services.monitor.totals.tally import Tally, add

# Where events stand: the id of an entry in the relay's stream, or without a relay when they came; both as
# milliseconds since 1970, and the number within them.
Position: TypeAlias = tuple[int, int]

BEGINNING: Position = (0, 0)
# Places whose counts wait. With a relay, no more is read until there is room; without one, the oldest are
# counted as of one place.
MOST = 50_000
# Events of these places that are kept as they were counted; beyond, each place is added up, which is less.
MOST_KEPT = 200_000


class Ledger:
    """`counted` returns what was counted since it was called before."""

    def __init__(self, counted: Callable[[], Counted]) -> None:
        self._counted = counted
        # Up to where the totals have everything, by this monitor or by another.
        self.settled_to = BEGINNING
        # The newest place that was read.
        self.position = BEGINNING
        self._pending: deque[tuple[Position, Counted]] = deque()
        self._kept = 0
        self._left = asyncio.Event()
        # What came by no event: the writer found it out, and has not been told that it is in the totals.
        self._besides: Tally = {}

    async def room(self) -> None:
        """Waits while counts of too many places wait: only while the database is away for long."""
        while len(self._pending) >= MOST:
            self._left.clear()
            await self._left.wait()

    @property
    def has_news(self) -> bool:
        """Whether anything was counted that the totals do not have."""
        add(self._besides, self._counted().added_up())
        return bool(self._pending or self._besides)

    def seal(self, position: Position, *, joins: bool = False) -> None:
        """Takes in that the events at the position were counted. `joins`: they can't wait elsewhere."""
        counted = self._counted()
        self.position = max(self.position, position)
        if not counted or position <= self.settled_to:
            return
        self._kept += len(counted.cells)
        if self._pending and self._pending[-1][0] == position:
            self._pending[-1][1].add(counted)
        else:
            self._pending.append((position, counted))
        if joins and len(self._pending) > MOST:
            _, oldest = self._pending.popleft()
            self._pending[0][1].add(oldest)
        if self._kept > MOST_KEPT:
            for _, each in self._pending:
                each.added_up()
            self._kept = 0

    def unsettled(self) -> tuple[Tally, Position]:
        """Returns what is to be added to the totals, and the place up to which that counts everything."""
        add(self._besides, self._counted().added_up())
        found = together(counted for _, counted in self._pending).added_up()
        add(found, self._besides)
        return found, max(self.position, self.settled_to)

    def settle(self, position: Position) -> None:
        """Takes in that the totals have all up to the position."""
        self.settled_to = max(self.settled_to, position)
        while self._pending and self._pending[0][0] <= position:
            _, counted = self._pending.popleft()
            self._kept -= len(counted.cells)
        self._kept = max(0, self._kept)
        self._left.set()

    def written(self, position: Position) -> None:
        """Takes in that what `unsettled` returned is in the totals."""
        self._besides.clear()
        self.settle(position)

    def drop_besides(self) -> None:
        """Forgets what came by no event: another monitor writes, and finds it out for itself."""
        self._counted()
        self._besides.clear()
