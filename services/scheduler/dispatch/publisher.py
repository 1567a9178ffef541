"""Puts batches of messages on the broker's queues: each batch exactly once, whatever is killed when.

A batch's mark and its messages are set and pushed in one atomic step, a Lua script. A later publisher finds
the mark, pushes nothing, and reads in it what was refused. A publish needs a slot, which is taken before the
batch is read from the database and ends a minute later: so a replica that was frozen in between can't wake up
after the mark is gone, and push again. Slots and marks live by the broker's clock alone; the clock of the
database may differ from it by hours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson
import redis.asyncio

from services.kernel.broker_layout import Layout
from services.scheduler.schedule.celery_message import Message, event_envelope

MARK = "celeriac:batch:"
# Long enough for any crash between publishing and recording it to be healed; then, once the database has
# recorded it, just long enough for every slot to have ended.
MARK_SECONDS = 7 * 24 * 3600
RECORDED_MARK_SECONDS = 600
SLOT_SECONDS = 60
# A slot is handed out again for so long: one question to the broker for many batches.
SAME_SLOT_SECONDS = 2.0
TIME_SECONDS = 1.0
# Events of one message to the monitors.
EVENTS = 200
KOMBUS = Layout()

# KEYS: mark; for each list: the list, kombu's table of its queue.
# ARGV: end of the slot (Unix seconds), life of a mark, channel of events; for each list: kombu's entry,
# the messages, one a line (they are JSON, which has no line breaks), number of events, the events.
# Answers -1 when the slot has ended; 0 and the mark when it was there; else 1, and the mark if it is other
# than '1': then it tells, as JSON, of each list that is none, the key and the tasks whose messages were not
# pushed. What could fail is looked at before anything is written. A Lua call takes some 8,000 values at most.
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
local refused, at = {}, 4
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
    """The batches were read too long ago to be published; they must be read again."""


class MarkedBatch(NamedTuple):
    """The messages of a batch, and what the broker is to know it by."""

    mark: str
    messages: Sequence[Message]


class Refused(NamedTuple):
    """Tasks whose messages were not pushed, because their list's key on the broker holds something else."""

    key: str
    task_ids: Sequence[str]


class Receipt(NamedTuple):
    """What became of a marked batch: all but the refused messages were pushed, now or `before`.

    What was refused before was so as it was then; the batch may have been made anew since.
    """

    before: bool
    refused: tuple[Refused, ...] = ()


class Publisher:
    """Publishes to one Redis or Valkey."""

    def __init__(self, client: redis.asyncio.Redis, database: int, layout: Layout = KOMBUS) -> None:
        self._client = client
        self._layout = layout
        self._prefix = layout.prefix
        self._publish = client.register_script(PUBLISH)
        # As kombu names the channel of its event exchange.
        self._events_channel = f"{layout.prefix}/{database}.celeryev/task.multi"
        self._slot_ends = 0
        self._slot_from = float("-inf")

    async def slot(self) -> int:
        """A slot for batches that are read from now on: its end, in Unix seconds of the broker's clock.

        Raises `TimeoutError` when the broker does not tell its time soon.
        """
        now = time.monotonic()
        if now - self._slot_from < SAME_SLOT_SECONDS:
            return self._slot_ends
        async with asyncio.timeout(TIME_SECONDS):
            seconds, _ = await self._client.time()
        self._slot_ends, self._slot_from = seconds + SLOT_SECONDS, now
        return self._slot_ends

    async def publish(self, marked: MarkedBatch, slot_ends: int) -> Receipt:
        """Pushes the messages if the mark is not there yet. Raises `SlotEnded`."""
        keys = [self._prefix + MARK + marked.mark]
        arguments: list[str | bytes | int] = [slot_ends, MARK_SECONDS, self._events_channel]
        lists = self._by_list(marked.messages)
        for key, messages in lists.items():
            bindings, entry = self._layout.binding_of(messages[0].queue)
            keys += (key, bindings)
            events = list(_events(messages))
            lines = b"\n".join([*(message.envelope for message in messages), b""])
            arguments += (entry, lines, len(events), *events)
        state, *marks = await self._publish(keys, arguments)
        if state == -1:
            # Or the broker's clock was set forward, or another broker took over: then the next one holds.
            self._slot_from = float("-inf")
            raise SlotEnded
        return Receipt(state == 0, _refused(marks[0]) if marks else ())

    async def shorten_marks(self, marks: Sequence[str]) -> None:
        """The database has recorded that these batches were published."""
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


def _refused(mark: bytes) -> tuple[Refused, ...]:
    return () if mark == b"1" else tuple(Refused(*each) for each in orjson.loads(mark))


def _events(messages: Sequence[Message]) -> Iterator[bytes]:
    for start in range(0, len(messages), EVENTS):
        yield event_envelope([message.event for message in messages[start : start + EVENTS]])
