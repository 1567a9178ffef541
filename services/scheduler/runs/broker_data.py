"""Reads what the broker holds: its identity, which is lost with its data, marks of batches, and messages."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import redis.asyncio

from services.kernel.broker_identity import identity_of
from services.kernel.broker_layout import Layout
from services.kernel.celery_publisher import MARK

# The task id as it stands in the headers of every message, ours and Celery's own.
TASK_ID = re.compile(rb'"id": ?"([^"]{1,255})"')
CHUNK = 1000


class BrokerData:
    """The data of one Redis or Valkey."""

    def __init__(self, client: redis.asyncio.Redis, layout: Layout) -> None:
        self._client = client
        self._layout = layout
        self._prefix = layout.prefix

    async def identity(self) -> str:
        """Returns the broker's identity, which stays the same while the broker keeps its data."""
        return await identity_of(self._client, self._prefix)

    async def marked(self, marks: Sequence[str]) -> set[str]:
        """Returns those of the marks that the broker has: of batches published recently, or published and not
        yet recorded as such."""
        found: set[str] = set()
        for start in range(0, len(marks), CHUNK):
            chunk = marks[start : start + CHUNK]
            values = await self._client.mget([self._prefix + MARK + mark for mark in chunk])
            found |= {mark for mark, value in zip(chunk, values, strict=True) if value is not None}
        return found

    async def queued(self, queues: Collection[tuple[str, int]]) -> set[str]:
        """Returns the ids of tasks whose messages are in these (queue, priority) lists, or with workers that
        have not acknowledged them."""
        found: set[str] = set()
        for key in {self._layout.key_of(queue, priority) for queue, priority in queues}:
            start = 0
            # New messages are added at the head, so unread ones can only move towards higher indexes.
            while messages := await self._client.lrange(key, start, start + CHUNK - 1):
                found |= _task_ids(messages)
                start += CHUNK
        async for _, message in self._client.hscan_iter(f"{self._prefix}unacked", count=CHUNK):
            found |= _task_ids([message])
        return found


def _task_ids(messages: Sequence[Any]) -> set[str]:
    return {task_id.decode() for message in messages for task_id in TASK_ID.findall(message)}
