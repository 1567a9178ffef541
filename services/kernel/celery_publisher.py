"""Puts batches of messages on the broker's queues: each batch exactly once, whatever process is killed when.

1. A publish slot is taken before the batch is read from the database. It ends a minute later, so a replica
   that was frozen in between can't publish the batch again after its mark has expired.
2. A Lua script sets the mark of the batch and pushes its messages, in one atomic step.
3. A later publisher of the same batch finds the mark and pushes nothing. The mark also holds which messages
   were refused, and which were left out because our own code can't make them.

Slots and marks use only the broker's clock; the clock of the database may differ from it by hours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson
import redis.asyncio

from services.kernel.broker_layout import Layout
from services.kernel.celery_message import Message, event_envelope

MARK = "celeriac:batch:"
# A mark lives long enough for any crash between publishing and recording to be healed. Once the database has
# recorded the batch as published, it lives only until every slot has ended.
MARK_SECONDS = 7 * 24 * 3600
RECORDED_MARK_SECONDS = 600
SLOT_SECONDS = 60
# How long a slot is reused, so that the broker is asked for its time once for many batches.
SAME_SLOT_SECONDS = 2.0
TIME_SECONDS = 1.0
# The most task-sent events in one message to the monitors.
EVENTS = 200
KOMBUS = Layout()
# In a mark, what stands in place of a key for the tasks that were left out.
LEFT_OUT = ""

# KEYS: mark; for each list: the list, kombu's table of its queue.
# ARGV: end of the slot (Unix seconds), life of a mark, channel of events, the ids of the tasks that are left
# out (JSON, or empty); for each list: kombu's entry, the messages, one a line (they are JSON, which has no
# line breaks), number of events, the events.
# Returns {-1} when the slot has ended; {0, mark} when the mark existed already; {1} when all messages were
# pushed; {1, mark} when some were not. The mark is '1', or the messages that were not pushed, as JSON: for
# each key that is not a list, the key and the ids of its tasks; with an empty key, the tasks that were left
# out. The types of all keys are checked before the first write, because Redis does not undo the writes of a
# script that fails. LPUSH gets 1,000 messages at a time, because Lua's unpack can pass no more than some
# 8,000 values.
PUBLISH = """
if tonumber(redis.call('TIME')[1]) > tonumber(ARGV[1]) then return {-1} end
local function lines(text)
    local found, count, from = {}, 0, 1
    while from <= #text do
        local to = string.find(text, '\\n', from, true)
        count = count + 1
        found[count] = string.sub(text, from, to - 1)
        from = to + 1
    end
    return found, count
end
local kinds = {}
for key = 2, #KEYS do
    kinds[key] = redis.call('TYPE', KEYS[key]).ok
end
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[2]) then return {0, redis.call('GET', KEYS[1])} end
local refused, at = {}, 5
if ARGV[4] ~= '' then refused[1] = {'', cjson.decode(ARGV[4])} end
for key = 2, #KEYS, 2 do
    local events = at + 3
    local following = events + ARGV[at + 2]
    local messages, count = lines(ARGV[at + 1])
    if kinds[key] == 'list' or kinds[key] == 'none' then
        if kinds[key + 1] == 'set' or kinds[key + 1] == 'none' then
            redis.call('SADD', KEYS[key + 1], ARGV[at])
        end
        for first = 1, count, 1000 do
            redis.call('LPUSH', KEYS[key], unpack(messages, first, math.min(first + 999, count)))
        end
        for event = events, following - 1 do
            redis.pcall('PUBLISH', ARGV[3], ARGV[event])
        end
    else
        for message = 1, count do
            messages[message] = string.match(messages[message], '"id":"([^"]+)"')
        end
        refused[#refused + 1] = {KEYS[key], messages}
    end
    at = following
end
if #refused == 0 then return {1} end
local mark = cjson.encode(refused)
redis.call('SET', KEYS[1], mark, 'EX', ARGV[2])
return {1, mark}
"""


class SlotEnded(Exception):
    """The publish slot has ended: the batches were read too long ago, and must be read again."""


class MarkedBatch(NamedTuple):
    """The messages of a batch, its mark on the broker, and the ids of its tasks that are left out."""

    mark: str
    messages: Sequence[Message]
    left_out: Sequence[str] = ()


class Refused(NamedTuple):
    """Tasks whose messages were not pushed, because the key of their queue on the broker is not a list."""

    key: str
    task_ids: Sequence[str]


class Receipt(NamedTuple):
    """The result of a publish: all messages were pushed, now or `before`, but the refused and the left out.

    With `before`, `refused` and `left_out` (ids of tasks) are the result of the earlier publish. The batch
    may have been read again since, and its messages may be others.
    """

    before: bool
    refused: tuple[Refused, ...] = ()
    left_out: tuple[str, ...] = ()


class Publisher:
    """Publishes to one Redis or Valkey."""

    def __init__(self, client: redis.asyncio.Redis, database: int, layout: Layout = KOMBUS) -> None:
        self._client = client
        self._layout = layout
        self._prefix = layout.prefix
        self._publish = client.register_script(PUBLISH)
        # The name that kombu gives to the channel of its event exchange.
        self._events_channel = f"{layout.prefix}/{database}.celeryev/task.multi"
        self._slot_ends = 0
        self._slot_from = float("-inf")

    async def slot(self) -> int:
        """Returns a slot for batches read from now on: its end, in Unix seconds of the broker's clock.

        Raises `TimeoutError` when the broker does not answer within TIME_SECONDS.
        """
        now = time.monotonic()
        if now - self._slot_from < SAME_SLOT_SECONDS:
            return self._slot_ends
        async with asyncio.timeout(TIME_SECONDS):
            seconds, _ = await self._client.time()
        self._slot_ends, self._slot_from = seconds + SLOT_SECONDS, now
        return self._slot_ends

    async def publish(self, marked: MarkedBatch, slot_ends: int) -> Receipt:
        """Pushes the messages if the mark does not exist yet. Raises `SlotEnded`."""
        keys = [self._prefix + MARK + marked.mark]
        left_out = orjson.dumps(marked.left_out) if marked.left_out else b""
        arguments: list[str | bytes | int] = [slot_ends, MARK_SECONDS, self._events_channel, left_out]
        lists = self._by_list(marked.messages)
        for key, messages in lists.items():
            bindings, entry = self._layout.binding_of(messages[0].queue)
            keys += (key, bindings)
            events = list(_events(messages))
            lines = b"\n".join([*(message.envelope for message in messages), b""])
            arguments += (entry, lines, len(events), *events)
        state, *marks = await self._publish(keys, arguments)
        if state == -1:
            # Drops the cached slot: the broker's clock may have been set forward, or another broker may have
            # taken over. The next slot is then a valid one.
            self._slot_from = float("-inf")
            raise SlotEnded
        unsent = _unsent(marks[0]) if marks else []
        refused = tuple(each for each in unsent if each.key != LEFT_OUT)
        return Receipt(
            state == 0, refused, tuple(each for key, ids in unsent if key == LEFT_OUT for each in ids)
        )

    async def shorten_marks(self, marks: Sequence[str]) -> None:
        """Shortens the lives of marks whose batches the database has recorded as published."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for mark in marks:
                pipeline.expire(self._prefix + MARK + mark, RECORDED_MARK_SECONDS)
            await pipeline.execute()

    def _by_list(self, messages: Sequence[Message]) -> dict[str, list[Message]]:
        by_queue: dict[tuple[str, int], list[Message]] = {}
        for message in messages:
            by_queue.setdefault((message.queue, message.priority), []).append(message)
        found: dict[str, list[Message]] = {}
        for (queue, priority), each in by_queue.items():
            found.setdefault(self._layout.key_of(queue, priority), []).extend(each)
        return found


def _unsent(mark: bytes) -> list[Refused]:
    return [] if mark == b"1" else [Refused(*each) for each in orjson.loads(mark)]


def _events(messages: Sequence[Message]) -> Iterator[bytes]:
    for start in range(0, len(messages), EVENTS):
        yield event_envelope([message.event for message in messages[start : start + EVENTS]])
