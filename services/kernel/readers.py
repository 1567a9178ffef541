"""The readers of a stream: a bounded buffer for each, and all of one stream together.

When the buffer is full, new messages are skipped until the reader has read everything in it; then the reader
gets the number of skipped changes. So a slow reader misses a few long stretches rather than many single
changes, and for a reader that has stopped reading only a counter grows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
            # Not asyncio.wait_for: in Python 3.11 it may lose a cancellation that comes with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._news.wait()
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


Admitted = TypeVar("Admitted", bound=JoiningReader[Any, Any, Any])


class Audience(Generic[Admitted, Wanted, Cursor]):
    """All readers of one stream in this process: those who are handed changes, and those who wait to join.

    Whoever hands on the changes waits for `woken`: it is set when a reader wants to join, and by notices.
    """

    def __init__(self, reader: Callable[[Wanted], Admitted]) -> None:
        self._reader = reader
        self.readers: set[Admitted] = set()
        self.joining: set[Admitted] = set()
        self.woken = asyncio.Event()

    def __len__(self) -> int:
        return len(self.readers) + len(self.joining)

    @contextlib.asynccontextmanager
    async def joined(self, wanted: Wanted) -> AsyncIterator[tuple[Admitted, Cursor]]:
        """Yields a new reader, and the cursor (later than the call) after which it gets every change."""
        reader = self._reader(wanted)
        self.joining.add(reader)
        self.woken.set()
        try:
            yield reader, await reader.joined
        finally:
            self.joining.discard(reader)
            self.readers.discard(reader)

    def admit(self, reader: Admitted, cursor: Cursor) -> None:
        """Lets a reader join that waits for it: changes after the cursor will be handed to it, too."""
        if reader in self.joining:
            self.joining.discard(reader)
            # It may have left a moment ago.
            if not reader.joined.cancelled():
                self.readers.add(reader)
                reader.joined.set_result(cursor)

    def fail(self, error: CeleriacError) -> None:
        """Ends the streams of all readers with the error."""
        for reader in self.readers | self.joining:
            reader.fail(error)
        self.readers.clear()
        self.joining.clear()

    async def wake_by(self, notices: AsyncIterator[str]) -> None:
        async for _ in notices:
            self.woken.set()
