"""Reads messages where they wait, and deletes one. Workers take them from the end of each list.

Reading is LRANGE and LINDEX in scripts, which change nothing. Raises redis-py's errors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import redis.asyncio

from services.kernel.broker_layout import Layout
from services.kernel.errors import FieldFault, Invalid, NotFound
from services.monitor.messages.envelope import Message, etag_of, read_message, task_id_of

# Of the messages of one answer so many bytes are sent over, and at least one message.
MOST_BYTES = 4 * 1024 * 1024
# A look into a queue ends when it has read so much.
MOST_LOOKED_AT = 16 * 1024 * 1024
# The end of a message in which its headers are, unless they are unusually long.
END_BYTES = 8 * 1024
AT_ONCE = 200
# A script that looks for a task goes through so many messages, and then lets others use the broker.
LOOKED_AT_ONCE = 200

# Returns messages in the order in which they are taken, after the first `skip`; fewer than `most` if they are
# large. `anchor`: what was skipped last; if it is not in its place any more, the answer is nil.
READ = """
local skip, most, most_bytes, anchor = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if anchor ~= '' and redis.call('LINDEX', KEYS[1], -skip) ~= anchor then return false end
local found, bytes = {}, 0
for i = 1, most do
    local message = redis.call('LINDEX', KEYS[1], -skip - i)
    if not message or (i > 1 and bytes + #message > most_bytes) then break end
    found[i], bytes = message, bytes + #message
end
return found
"""
# Returns the last bytes of the message of each list that is taken next, empty for an empty list.
NEXT = """
local found = {}
for i = 1, #KEYS do
    local ends = redis.pcall('LINDEX', KEYS[i], -1)
    found[i] = type(ends) == 'string' and string.sub(ends, -tonumber(ARGV[1])) or ''
end
return found
"""
# Returns, of a part of a list, the messages that have one of two texts.
FIND = """
local found = {}
for _, message in ipairs(redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])) do
    if string.find(message, ARGV[3], 1, true) or string.find(message, ARGV[4], 1, true)
        or not string.find(message, '"id":', 1, true) then
        found[#found + 1] = message
    end
end
return {redis.call('LLEN', KEYS[1]), found}
"""


class WaitingMessages:
    def __init__(self, client: redis.asyncio.Redis, layout: Layout) -> None:
        # redis-py's stub of LREM takes no bytes.
        self._client: Any = client
        self._layout = layout
        self._read: Any = client.register_script(READ)
        self._next: Any = client.register_script(NEXT)
        self._find: Any = client.register_script(FIND)

    async def first(self, queue: str, count: int) -> Sequence[Message]:
        """Returns the messages that workers take first, in their order; fewer if they are large."""
        found: list[Message] = []
        size = 0
        for step, key in zip(self._layout.steps, self._layout.keys_of(queue), strict=True):
            skip, anchor = 0, b""
            while len(found) < count and size < MOST_LOOKED_AT:
                raws = await self.chunk(key, skip, anchor, min(AT_ONCE, count - len(found)))
                if not raws:
                    break
                found += [read_message(raw, step) for raw in raws]
                skip, anchor, size = skip + len(raws), raws[-1], size + sum(map(len, raws))
        return found

    async def chunk(self, key: str, skip: int, anchor: bytes, most: int = AT_ONCE) -> Sequence[bytes] | None:
        """Returns messages of one list after the first `skip`.

        None if the message before them is not `anchor` any more: workers have taken some meanwhile.
        """
        found: Sequence[bytes] | None = await self._read([key], [skip, most, MOST_BYTES, anchor])
        return found

    async def next_tasks(self, queues: Sequence[str]) -> Sequence[Sequence[str | None]]:
        """Returns for each queue the ids of the tasks that are next, one a list; None for one not told."""
        keys = [key for queue in queues for key in self._layout.keys_of(queue)]
        ends = await self._next(keys, [END_BYTES]) if keys else []
        steps = len(self._layout.steps)
        return [
            [task_id_of(end) or None for end in ends[at : at + steps] if end]
            for at in range(0, len(ends), steps)
        ]

    async def delete(self, queue: str, task_id: str, etag: str, *, only_look: bool = False) -> Message:
        """Takes the message out of its list, and returns it. Raises `NotFound` and `Invalid`."""
        found = await self._messages_of(queue, task_id)
        if etag:
            found = [each for each in found if etag_of(each[2]) == etag]
        if len(found) > 1:
            etags = [etag_of(raw) for _, _, raw in found]
            fault = f"is not set, and {len(found)} messages of the task wait: {', '.join(etags[:10])}"
            raise Invalid([FieldFault("etag", fault, etags[0])])
        for key, step, raw in found:
            if only_look or await self._client.lrem(key, -1, raw):
                return read_message(raw, step)
        text = f"no such message of the task {task_id!r} waits in the queue {queue!r}"
        raise NotFound("message", task_id, text)

    async def _messages_of(self, queue: str, task_id: str) -> list[tuple[str, int, bytes]]:
        found: dict[tuple[str, int, bytes], None] = {}
        escaped, plain = _as_written(task_id)
        for step, key in zip(self._layout.steps, self._layout.keys_of(queue), strict=True):
            at, length = 0, 1
            # New messages are added at the head, so unread ones can only move towards higher indexes.
            while at < length:
                length, raws = await self._find([key], [at, at + LOOKED_AT_ONCE - 1, escaped, plain])
                for raw in raws:
                    if task_id_of(raw) == task_id:
                        found[key, step, raw] = None
                at += LOOKED_AT_ONCE
        return list(found)


def _as_written(task_id: str) -> tuple[bytes, bytes]:
    """Returns the id as a JSON string, with other than ASCII characters escaped and as they are."""
    return json.dumps(task_id).encode(), json.dumps(task_id, ensure_ascii=False).encode()
