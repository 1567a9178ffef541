"""What waits for one reader of a stream: bounded, with whole gaps where the reader was too slow.

A reader whose buffer is full has messages left out until it has read all that is there; then it is told how
many. So its losses are whole gaps rather than holes everywhere, and a reader that has stopped reading costs
a counter.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Message = TypeVar("Message")


@dataclass(frozen=True)
class Skipped:
    """So many changes were left out here."""

    count: int


class Reader(Generic[Message]):
    """One reader's place in what happens. `most`: how many changes may wait for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        # With how many changes each message tells.
        self._messages: deque[tuple[Message, int]] = deque()
        self._waiting = 0
        self._skipped = 0
        self._news = asyncio.Event()

    @property
    def has_room(self) -> bool:
        return not self._skipped and self._waiting < self._most

    def put(self, message: Message, changes: int = 1) -> None:
        self._messages.append((message, changes))
        self._waiting += changes
        self._news.set()

    def skip(self, changes: int = 1) -> None:
        self._skipped += changes
        self._news.set()

    async def next(self, seconds: float) -> Message | Skipped | None:
        """What comes next; None if nothing does within so many seconds."""
        found = self._take()
        if found is None and seconds > 0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)
            # Also when the time is up: None means that there is nothing.
            found = self._take()
        return found

    def _take(self) -> Message | Skipped | None:
        if self._messages:
            message, changes = self._messages.popleft()
            self._waiting -= changes
            return message
        if self._skipped:
            count, self._skipped = self._skipped, 0
            return Skipped(count)
        return None
