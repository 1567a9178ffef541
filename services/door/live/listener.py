"""What waits to be sent over one socket.

Of figures and of each worker the newest alone waits. Changes of tasks wait in their order, within a bound of
bytes; for a client that does not read them in time only a counter grows, and it is told the count.
"""

from __future__ import annotations

from services.door.callers import Caller
from services.door.live.messages import skipped
from services.kernel import readers

# What may wait of changes of tasks; one message may be longer. A socket's own buffers take as much again.
MOST_BYTES = 512 * 1024


class Listener(readers.Reader[str]):
    def __init__(self, caller: Caller) -> None:
        super().__init__(MOST_BYTES)
        self.caller = caller
        self._first: list[str] = []
        # The newest of each, by its name.
        self._newest: dict[str, str] = {}

    def put_first(self, text: str) -> None:
        """Has it sent before anything that waits."""
        self._first.append(text)
        self._news.set()

    def put_newest(self, name: str, text: str) -> None:
        """Has it sent before changes of tasks, in place of an older one of this name."""
        self._newest.pop(name, None)
        self._newest[name] = text
        self._news.set()

    def put_tasks(self, text: str, changes: int) -> int:
        """Has changes of tasks sent; leaves them out if there is no room. Returns how many it left out."""
        if self.has_room:
            self.put(text, len(text))
            return 0
        self.skip(changes)
        return changes

    async def next_text(self, seconds: float) -> str | None:
        """Returns the next text to send; None if there is none within so many seconds."""
        news = await self.next(seconds)
        return skipped(news.count) if isinstance(news, readers.Skipped) else news

    def forget(self) -> None:
        """Drops what waits: it belongs to a subscription that was replaced."""
        self._messages.clear()
        self._newest.clear()
        self._waiting = self._skipped = 0

    def _take(self) -> str | readers.Skipped | None:
        if self._failed is None:
            if self._first:
                return self._first.pop(0)
            if self._newest:
                return self._newest.pop(next(iter(self._newest)))
        return super()._take()
