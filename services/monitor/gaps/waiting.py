"""Which tasks wait on the broker: in queues, and with workers that have not acknowledged them.

Only their ids are sent over: a script finds them on the broker, some hundred messages at a time.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable
from typing import Any

import orjson
import redis.asyncio

from services.kernel.broker_layout import Layout
from services.monitor.queues import UNACKED, BrokerQueues

# Messages that are looked at; what is beyond is not known.
MOST_MESSAGES = 200_000
AT_ONCE = 500
# A message whose headers have no id is of Celery's first protocol: its id is in the body.
# An id is sent as the JSON string that it is in the message: some characters of it are escaped there.
IDS = r"""
local function id_of(message)
    local _, first = string.find(message, '"id": ?"')
    local last = first
    while last do
        last = string.find(message, '["\\]', last + 1)
        if last and string.sub(message, last, last) == '"' then return string.sub(message, first, last) end
        last = last and last + 1
    end
    return '\0' .. string.sub(message, 1, 16384)
end
"""
IN_QUEUE = (
    IDS
    + """
local messages, found = redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2]), {}
for i = 1, #messages do found[i] = id_of(messages[i]) end
return found
"""
)
UNACKNOWLEDGED = (
    IDS
    + """
local page, found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2]), {}
found[1] = page[1]
for i = 2, #page[2], 2 do found[#found + 1] = id_of(page[2][i]) end
return found
"""
)
TASK_ID = re.compile(rb'"id": ?("(?:[^"\\]|\\.)*+")')


class WaitingTasks:
    """Reads the broker. Raises redis-py's errors and OSError."""

    def __init__(self, client: redis.asyncio.Redis, layout: Layout, queues: BrokerQueues) -> None:
        self._layout = layout
        self._queues = queues
        self._in_queue: Any = client.register_script(IN_QUEUE)
        self._unacknowledged: Any = client.register_script(UNACKNOWLEDGED)

    async def read(self, also: Collection[str]) -> tuple[set[str], bool]:
        """Returns the ids of the tasks that wait, and whether these are all.

        `also`: queues that may have lost their bindings. Queues come first: a message that a worker takes
        meanwhile is found among those unacknowledged.
        """
        found: set[str] = set()
        for queue in {queue.name for queue in await self._queues.read()}.union(also):
            for key in self._layout.keys_of(queue):
                start = 0
                # New messages are added at the head, so unread ones can only move towards higher indexes.
                while answers := await self._in_queue([key], [start, start + AT_ONCE - 1]):
                    found.update(_ids(answers))
                    start += AT_ONCE
                    if len(found) > MOST_MESSAGES:
                        return found, False
        return found, await self._add_unacknowledged(found)

    async def _add_unacknowledged(self, found: set[str]) -> bool:
        cursor: bytes | int = 0
        while True:
            cursor, *answers = await self._unacknowledged([self._layout.prefix + UNACKED], [cursor, AT_ONCE])
            found.update(_ids(answers))
            if int(cursor) == 0:
                return True
            if len(found) > MOST_MESSAGES:
                return False


def _ids(answers: Iterable[bytes]) -> Iterable[str]:
    for answer in answers:
        written = answer if not answer.startswith(b"\0") else _id_in_body(answer[1:])
        if task_id := _as_shown(written):
            yield task_id


def _as_shown(written: bytes) -> str:
    """Returns the task id that the JSON string is, as events tell it; empty if it is none."""
    if b"\\" not in written:
        return written[1:-1].decode(errors="replace")
    try:
        task_id = str(json.loads(written.decode(errors="replace"), strict=False))
    except ValueError:
        return ""
    return task_id.replace("\0", "\ufffd")


def _id_in_body(message: bytes) -> bytes:
    """Returns the id in the body of a message, as a JSON string; empty if there is none."""
    try:
        envelope = orjson.loads(message)
        if isinstance(envelope, list) and envelope:
            envelope = envelope[0]
        body = envelope.get("body") if isinstance(envelope, dict) else None
        found = TASK_ID.search(base64.b64decode(body)) if isinstance(body, str) else None
    except ValueError:
        return b""
    return found[1] if found else b""
