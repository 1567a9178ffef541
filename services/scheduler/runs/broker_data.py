"""What the broker holds: an identity that is lost with its data, marks of batches, and messages."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import redis.asyncio

from services.kernel.broker_layout import Layout
from services.scheduler.dispatch.publisher import MARK

IDENTITY = "celeriac:broker"
# As the headers of every message name it, ours and Celery's own.
TASK_ID = re.compile(rb'"id": ?"([^"]{1,255})"')
CHUNK = 1000


class BrokerData:
    """Reads one Redis or Valkey."""

    def __init__(self, client: redis.asyncio.Redis, layout: Layout) -> None:
        self._client = client
        self._layout = layout
        self._prefix = layout.prefix

    async def identity(self) -> str:
        """The same as long as the broker keeps its data. One that has none is given one."""
        await self._client.set(self._prefix + IDENTITY, str(uuid.uuid4()), nx=True)
        found = await self._client.get(self._prefix + IDENTITY)
        return found.decode() if isinstance(found, bytes) else str(found)

    async def marked(self, marks: Sequence[str]) -> set[str]:
        """Those of batches that were published to it lately, or were not recorded as published since."""
        found: set[str] = set()
        for start in range(0, len(marks), CHUNK):
            chunk = marks[start : start + CHUNK]
            values = await self._client.mget([self._prefix + MARK + mark for mark in chunk])
            found |= {mark for mark, value in zip(chunk, values, strict=True) if value is not None}
        return found

    async def queued(self, queues: Collection[tuple[str, int]]) -> set[str]:
        """Tasks whose messages are in these queues, for these priorities, or with workers that have not
        confirmed them."""
        found: set[str] = set()
        for key in {self._layout.key_of(queue, priority) for queue, priority in queues}:
            start = 0
            # Messages come in at the head: what was not read yet can only move on.
            while messages := await self._client.lrange(key, start, start + CHUNK - 1):
                found |= _task_ids(messages)
                start += CHUNK
        async for _, message in self._client.hscan_iter(f"{self._prefix}unacked", count=CHUNK):
            found |= _task_ids([message])
        return found


def _task_ids(messages: Sequence[Any]) -> set[str]:
    return {task_id.decode() for message in messages for task_id in TASK_ID.findall(message)}
