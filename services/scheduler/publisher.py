"""Puts messages on the broker's queues: each run exactly once, whatever is killed when.

A run's marker and its message are set and pushed in one atomic step, a Lua script. Who comes later finds the
marker, and pushes nothing. A publish needs a permit, which is taken before the run is read from the database
and ends a minute later: so a replica that was frozen in between can't wake up after the marker is gone, and
push again. Permits and markers live by the broker's clock alone; the database's may be hours off it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import redis.asyncio

from services.scheduler.messages import SEPARATOR, Message, event_envelope

MARKER = "celeriac:run:"
# Long enough for any crash between publishing and recording it to be healed; then, once the database has
# recorded it, just long enough for every permit to have ended.
MARKER_SECONDS = 7 * 24 * 3600
RECORDED_MARKER_SECONDS = 600
PERMIT_SECONDS = 60
# A permit is handed out again for so long: one question to the broker for many batches.
SAME_PERMIT_SECONDS = 2.0
TIME_SECONDS = 1.0
BATCH = 200

# KEYS: marker, list, marker, list, …  ARGV: end of the permit (Unix seconds), life of a marker, message, …
# Answers the positions (from 1) of the messages that were there already; -1 when the permit has ended.
PUBLISH = """
if tonumber(redis.call('TIME')[1]) > tonumber(ARGV[1]) then return {-1} end
local known = {}
for i = 1, #ARGV - 2 do
    if redis.call('SET', KEYS[2 * i - 1], '1', 'NX', 'EX', ARGV[2]) then
        redis.call('LPUSH', KEYS[2 * i], ARGV[i + 2])
    else
        known[#known + 1] = i
    end
end
return known
"""
SHORTEN = "for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[1]) end"


class PermitEnded(Exception):
    """The runs were read too long ago to be published; they must be read again."""


class Publisher:
    """Publishes to one Redis or Valkey."""

    def __init__(self, client: redis.asyncio.Redis, database: int, key_prefix: str = "") -> None:
        """`key_prefix` is what the application's `global_keyprefix` puts before every key and channel."""
        self._client = client
        self._prefix = key_prefix
        self._list_prefix = key_prefix.encode()
        self._publish = client.register_script(PUBLISH)
        self._shorten = client.register_script(SHORTEN)
        # As kombu names the channel of its event exchange.
        self._events_channel = f"{key_prefix}/{database}.celeryev/task.multi"
        self._permit_ends = 0
        self._permit_from = float("-inf")

    async def permit(self) -> int:
        """A permit for runs that are read from now on: its end, in Unix seconds of the broker's clock.

        Raises `TimeoutError` when the broker does not tell its time soon.
        """
        now = time.monotonic()
        if now - self._permit_from < SAME_PERMIT_SECONDS:
            return self._permit_ends
        async with asyncio.timeout(TIME_SECONDS):
            seconds, _ = await self._client.time()
        self._permit_ends, self._permit_from = seconds + PERMIT_SECONDS, now
        return self._permit_ends

    async def publish(self, messages: Sequence[Message], permit_ends: int) -> int:
        """Pushes the messages whose markers are not there yet; how many that were. Raises `PermitEnded`."""
        await self._bind({message.queue for message in messages})
        pushed = 0
        for start in range(0, len(messages), BATCH):
            batch = await self._push(messages[start : start + BATCH], permit_ends)
            if batch:
                events = event_envelope([message.event for message in batch])
                await self._client.publish(self._events_channel, events)
            pushed += len(batch)
        return pushed

    async def _push(self, messages: Sequence[Message], permit_ends: int) -> Sequence[Message]:
        """One atomic step; gives the messages that were not there yet."""
        keys: list[str | bytes] = []
        for message in messages:
            keys += (self._prefix + MARKER + message.task_id, self._list_prefix + message.key)
        envelopes = [message.envelope for message in messages]
        known = set(await self._publish(keys, [permit_ends, MARKER_SECONDS, *envelopes]))
        if -1 in known:
            # Or the broker's clock was set forward, or another broker took over: then the next one holds.
            self._permit_from = float("-inf")
            raise PermitEnded
        if not known:
            return messages
        return [message for position, message in enumerate(messages, 1) if position not in known]

    async def shorten_markers(self, task_ids: Sequence[str]) -> None:
        """The database has recorded that these runs were published."""
        for start in range(0, len(task_ids), 1000):
            keys = [self._prefix + MARKER + task_id for task_id in task_ids[start : start + 1000]]
            await self._shorten(keys, [RECORDED_MARKER_SECONDS])

    async def _bind(self, queues: set[str]) -> None:
        """Tells kombu's tables of the queues, as a Celery client does that sends to them.

        Each time: a broker that came back without its data has forgotten them.
        """
        async with self._client.pipeline(transaction=False) as pipeline:
            for queue in queues:
                pipeline.sadd(f"{self._prefix}_kombu.binding.{queue}", SEPARATOR.join((queue, "", queue)))
            await pipeline.execute()
