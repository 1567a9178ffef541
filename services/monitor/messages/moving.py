"""Moves messages from one queue to another, each in one atomic step: a script takes it out and puts it in.

So whenever the monitor is killed, a message is in one of the two queues. The new text of a message is made
here, not in the script: Lua's JSON library turns an empty array into an empty object.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from services.kernel.broker_layout import Layout
from services.monitor.messages.envelope import directed_to, names_of
from services.monitor.messages.waiting_messages import AT_ONCE, WaitingMessages

MOST = 10_000
# A call ends after so long, and says that it is not complete.
MOST_SECONDS = 10.0
# So often a list is looked through again from its start because workers took messages meanwhile.
MOST_RESTARTS = 50
# A script should not hold the broker up for longer than this; it then gets fewer messages.
LONGEST_SCRIPT_SECONDS = 0.02

# A message that is not there any more, since a worker has taken it, is left alone. LREM looks from the end at
# which messages are taken.
MOVE = """
local moved = 0
for i = 1, #ARGV, 2 do
    if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
        redis.call('LPUSH', KEYS[2], ARGV[i + 1])
        moved = moved + 1
    end
end
return moved
"""


@dataclass(frozen=True)
class Moved:
    """`complete`: whether all messages were looked at."""

    count: int
    complete: bool


class Moves:
    def __init__(self, client: redis.asyncio.Redis, layout: Layout, messages: WaitingMessages) -> None:
        self._layout = layout
        self._messages = messages
        self._move: Any = client.register_script(MOVE)

    async def move(
        self,
        source: str,
        destination: str,
        most: int,
        wanted: Callable[[str, str], bool],
        *,
        only_count: bool = False,
    ) -> Moved:
        """Moves up to `most` messages whose task, by id and name, is wanted; or only counts them."""
        count, complete = 0, True
        ends_at = time.monotonic() + MOST_SECONDS
        keys = zip(self._layout.keys_of(source), self._layout.keys_of(destination), strict=True)
        for from_key, to_key in keys:
            one = _OneList(self._messages, self._move, from_key, to_key, destination, only_count)
            moved = await one.move(most - count, wanted, ends_at)
            count, complete = count + moved.count, complete and moved.complete
        return Moved(count, complete)


class _OneList:
    """The messages of one priority."""

    def __init__(
        self,
        messages: WaitingMessages,
        script: Any,
        from_key: str,
        to_key: str,
        destination: str,
        only_count: bool,
    ) -> None:
        self._messages = messages
        self._script = script
        self._keys = [from_key, to_key]
        self._destination = destination
        self._only_count = only_count
        self._at_once = AT_ONCE

    async def move(self, most: int, wanted: Callable[[str, str], bool], ends_at: float) -> Moved:
        count = skip = restarts = 0
        anchor = b""
        while time.monotonic() < ends_at and restarts <= MOST_RESTARTS:
            raws = await self._messages.chunk(self._keys[0], skip, anchor)
            if raws is None:
                # Workers have taken messages before the anchor. What was counted is counted anew.
                count, skip, anchor, restarts = count * (not self._only_count), 0, b"", restarts + 1
                continue
            if not raws:
                return Moved(count, True)
            chosen: list[tuple[bytes, bytes]] = []
            left: list[bytes] = []
            for raw in raws:
                if count + len(chosen) >= most:
                    return Moved(count + await self._moved(chosen), False)
                new = directed_to(raw, self._destination) if wanted(*names_of(raw)) else None
                if new is None:
                    left.append(raw)
                else:
                    chosen.append((raw, new))
            count += await self._moved(chosen)
            stays = raws if self._only_count else left
            skip, anchor = skip + len(stays), stays[-1] if stays else anchor
        return Moved(count, False)

    async def _moved(self, chosen: Sequence[tuple[bytes, bytes]]) -> int:
        if self._only_count:
            return len(chosen)
        count = done = 0
        while done < len(chosen):
            part = chosen[done : done + self._at_once]
            started = time.monotonic()
            count += await self._script(self._keys, [text for pair in part for text in pair])
            if time.monotonic() - started > LONGEST_SCRIPT_SECONDS:
                self._at_once = max(1, self._at_once // 2)
            done += len(part)
        return count
