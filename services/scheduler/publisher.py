"""Puts messages on the broker's queues: each run exactly once, whatever is killed when.

A run's marker and its message are set and pushed in one atomic step, a Lua script. Who comes later finds the
marker, and pushes nothing. A publish needs a permit, which ends a minute after the run was read from the
database: so a replica that was frozen in between can't wake up after the marker is gone, and push again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import redis.asyncio

from services.scheduler.messages import SEPARATOR, Message, event_envelope

MARKER = "celeriac:run:"
# Long enough for any crash between publishing and recording it to be healed; then, once the database has
# recorded it, just long enough for every permit to have ended.
MARKER_SECONDS = 7 * 24 * 3600
RECORDED_MARKER_SECONDS = 600
PERMIT = dt.timedelta(seconds=60)
BATCH = 100

# KEYS: marker, list, marker, list, …  ARGV: end of the permit (Unix seconds), life of a marker, message, …
PUBLISH = """
if tonumber(redis.call('TIME')[1]) > tonumber(ARGV[1]) then return -1 end
local pushed = 0
for i = 1, #KEYS, 2 do
    if redis.call('SET', KEYS[i], '1', 'NX', 'EX', ARGV[2]) then
        redis.call('LPUSH', KEYS[i + 1], ARGV[2 + (i + 1) / 2])
        pushed = pushed + 1
    end
end
return pushed
"""
SHORTEN = "for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], ARGV[1]) end"


class PermitEnded(Exception):
    """The runs were read too long ago to be published; they must be read again."""


class Publisher:
    """Publishes to one Redis or Valkey."""

    def __init__(self, client: redis.asyncio.Redis, database: int) -> None:
        self._client = client
        self._publish = client.register_script(PUBLISH)
        self._shorten = client.register_script(SHORTEN)
        # As kombu names the channel of its event exchange.
        self._events_channel = f"/{database}.celeryev/task.multi"
        self._bound: set[str] = set()

    async def publish(self, messages: Sequence[Message], read_at: dt.datetime) -> int:
        """Pushes the messages whose markers are not there yet; how many that were."""
        await self._bind({message.queue for message in messages})
        permit_ends = int((read_at + PERMIT).timestamp())
        pushed = 0
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            keys: list[str | bytes] = []
            for message in batch:
                keys += (MARKER + message.task_id, message.key)
            envelopes = [message.envelope for message in batch]
            count = int(await self._publish(keys, [permit_ends, MARKER_SECONDS, *envelopes]))
            if count < 0:
                raise PermitEnded
            pushed += count
            if count:
                events = [message.event for message in batch]
                await self._client.publish(self._events_channel, event_envelope(events))
        return pushed

    async def shorten_markers(self, task_ids: Sequence[str]) -> None:
        """The database has recorded that these runs were published."""
        for start in range(0, len(task_ids), 1000):
            keys = [MARKER + task_id for task_id in task_ids[start : start + 1000]]
            await self._shorten(keys, [RECORDED_MARKER_SECONDS])

    async def _bind(self, queues: set[str]) -> None:
        """Tells kombu's tables of a queue, as a Celery client does when it first sends to it."""
        for queue in queues - self._bound:
            await self._client.sadd(f"_kombu.binding.{queue}", SEPARATOR.join((queue, "", queue)))
            self._bound.add(queue)
