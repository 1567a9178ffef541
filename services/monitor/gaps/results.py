"""Reads ends of tasks from Celery's result backend in Redis or Valkey (tasks/result_keys.py)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.monitor.tasks.names import fits
from services.monitor.tasks.result_client import ResultClient
from services.monitor.tasks.result_keys import key_before_id
from services.monitor.tasks.stored_json import (
    COMPRESSED,
    date_done_of_end,
    object_in,
    plain_of,
    status_of_begin,
)
from services.monitor.tasks.values import time_in

AT_ONCE = 200
# Bytes of one stored result. Of a larger one only the begin and the end are read, which tell state and time.
MOST_BYTES = 64 * 1024
PART_BYTES = 4 * 1024
# Bytes of one that is stored compressed, and of it when it is unpacked: its begin does not tell the end.
MOST_PACKED_BYTES, MOST_UNPACKED_BYTES = 4 * 1024 * 1024, 32 * 1024 * 1024
SCANNED_AT_ONCE = 1_000
EVENTS = {"SUCCESS": "task-succeeded", "FAILURE": "task-failed", "REVOKED": "task-revoked"}


@dataclass(frozen=True)
class StoredEnd:
    """The end of a task, as an event would tell it: its type, its time in microseconds, its fields.

    `details`: of the task, which only `result_extended` stores. They are for tasks never heard of.
    """

    kind: str
    at: int
    event: Mapping[str, Any]
    details: Mapping[str, Any]


class ResultBackend:
    """The backend that the client reads. Its methods raise redis-py's errors and OSError."""

    def __init__(self, client: ResultClient, key_prefix: str = "") -> None:
        self._prefix = key_before_id(key_prefix)
        self._client = client

    async def ends(self, task_ids: Sequence[str]) -> dict[str, StoredEnd]:
        """Returns the ends that are stored of these tasks, `AT_ONCE` at most, by id."""
        keys = [self._prefix + task_id for task_id in task_ids]
        async with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.strlen(key)
            lengths = await pipeline.execute(raise_on_error=False)
        small = [key for key, length in zip(keys, lengths, strict=True) if _is_within(length, 1, MOST_BYTES)]
        large = [key for key, length in zip(keys, lengths, strict=True) if _is_within(length, MOST_BYTES + 1)]
        found = {}
        for key, value in zip(small, await self._client.mget(small) if small else (), strict=True):
            end = None if value is None else await _end_of(value)
            if end is not None:
                found[key.removeprefix(self._prefix)] = end
        for key in large:
            end = await self._end_of_large(key)
            if end is not None:
                found[key.removeprefix(self._prefix)] = end
        return found

    async def _end_of_large(self, key: str) -> StoredEnd | None:
        begin = await self._client.getrange(key, 0, PART_BYTES)
        if not begin.startswith(COMPRESSED):
            return end_of_parts(begin, await self._client.getrange(key, -PART_BYTES, -1))
        if await self._client.strlen(key) > MOST_PACKED_BYTES:
            return None
        return await _end_of(await self._client.get(key) or b"")

    async def task_ids(self) -> AsyncIterator[list[str]]:
        """Yields the ids of the tasks of which something is stored, some at once; one may come twice."""
        cursor, pattern = 0, re.sub(r"([*?\[\]\\^])", r"\\\1", self._prefix) + "*"
        while True:
            cursor, keys = await self._client.scan(cursor, pattern, SCANNED_AT_ONCE)
            ids = [key.decode(errors="replace").removeprefix(self._prefix) for key in keys]
            yield [task_id for task_id in ids if task_id and fits(task_id)]
            if not cursor:
                return


def _is_within(length: Any, least: int, most: int | None = None) -> bool:
    """A key of another kind has no length but an error."""
    return type(length) is int and length >= least and (most is None or length <= most)


async def _end_of(value: bytes) -> StoredEnd | None:
    """As `end_in`; a compressed value is unpacked first, beside the event loop, and may be large."""
    if not value.startswith(COMPRESSED):
        return end_in(value)
    plain = await asyncio.to_thread(plain_of, value, MOST_UNPACKED_BYTES)
    if plain is None or len(plain) > MOST_UNPACKED_BYTES:
        return None
    if len(plain) > MOST_BYTES:
        return end_of_parts(plain[:PART_BYTES], plain[-PART_BYTES:])
    return end_in(plain)


def end_in(value: bytes) -> StoredEnd | None:
    """Returns the end that a stored result tells; None if it tells of no end, or can't be read."""
    meta = object_in(value, MOST_BYTES)
    if meta is None:
        return None
    kind, done = EVENTS.get(str(meta.get("status"))), _microseconds(meta.get("date_done"))
    if kind is None or done is None:
        return None
    return StoredEnd(kind, done, _without_nul(_outcome(kind, meta)), _without_nul(_details(meta)))


def end_of_parts(begin: bytes, last: bytes) -> StoredEnd | None:
    """Returns the end that the first and the last bytes of a large stored result tell, without the result."""
    kind, at = EVENTS.get(status_of_begin(begin)), _microseconds(date_done_of_end(last))
    return None if kind is None or at is None else StoredEnd(kind, at, {}, {})


def _details(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Without the arguments, which may be large: a task never heard of is shown without."""
    told = {"name": meta.get("name"), "queue": meta.get("queue"), "hostname": meta.get("worker")}
    return {field: value for field, value in told.items() if isinstance(value, str)}


def _outcome(kind: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    result = meta.get("result")
    if kind == "task-succeeded":
        return {"result": repr(result)}
    error = result if isinstance(result, dict) else {}
    said = error.get("exc_message")
    if kind == "task-revoked":
        why = said[0] if isinstance(said, list) and said else said
        return {"expired": why == "expired", "terminated": why == "terminated"}
    values = said if isinstance(said, (list, tuple)) else [] if said is None else [said]
    exception = f"{error.get('exc_type', 'Exception')}({', '.join(map(repr, values))})"
    return {"exception": exception, "traceback": meta.get("traceback")}


def _without_nul(event: dict[str, Any]) -> dict[str, Any]:
    """PostgreSQL can't hold a NUL."""
    return {
        field: value.replace("\0", "�") if isinstance(value, str) else value for field, value in event.items()
    }


def _microseconds(text: Any) -> int | None:
    moment = time_in(text) if isinstance(text, str) else None
    return None if moment is None else int(moment.timestamp() * 1e6 + 0.5)
