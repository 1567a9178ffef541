"""A bounded buffer for one reader of a stream.

When the buffer is full, new messages are skipped until the reader has read everything in it; then the reader
gets the number of skipped changes. So a slow reader misses a few long stretches rather than many single
changes, and for a reader that has stopped reading only a counter grows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.kernel.errors import CeleriacError

Message = TypeVar("Message")
Wanted = TypeVar("Wanted")
Cursor = TypeVar("Cursor")


@dataclass(frozen=True)
class Skipped:
    """`count` changes were left out at this place of the stream."""

    count: int


class Reader(Generic[Message]):
    """The messages that wait for one reader. There is room while they hold fewer than `most` changes."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Each message, with the number of changes in it.
        self._messages: deque[tuple[Message, int]] = deque()
        self._waiting = 0
        self._skipped = 0
        self._failed: CeleriacError | None = None
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

    def fail(self, error: CeleriacError) -> None:
        """Has `next` raise the error from now on, whatever still waits."""
        self._failed = error
        self._news.set()

    async def next(self, seconds: float) -> Message | Skipped | None:
        """Returns the next message, or what was skipped; None if nothing comes within so many seconds."""
        found = self._take()
        if found is None and seconds > 0:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)
            # Also after a time-out: something may have come at the last moment.
            found = self._take()
        return found

    def _take(self) -> Message | Skipped | None:
        if self._failed is not None:
            raise self._failed
        if self._messages:
            message, changes = self._messages.popleft()
            self._waiting -= changes
            return message
        if self._skipped:
            count, self._skipped = self._skipped, 0
            return Skipped(count)
        return None


class JoiningReader(Reader[Message], Generic[Message, Wanted, Cursor]):
    """A reader that waits to be admitted. `joined` is set to the cursor from which it is handed changes."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        super().__init__(most)
        self.wanted = wanted
        self.joined: asyncio.Future[Cursor] = asyncio.get_running_loop().create_future()

    def fail(self, error: CeleriacError) -> None:
        """Ends the reader's stream with the error. The client may resume it with its last cursor."""
        if not self.joined.done():
            self.joined.set_exception(error)
            # Marks the exception as retrieved: a reader that has left meanwhile never asks for it.
            self.joined.exception()
        super().fail(error)
