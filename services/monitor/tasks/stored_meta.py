"""What Celery's result backend stores of a task beside its result (tasks/result_keys.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import RedisError

from services.kernel.logged_errors import for_log
from services.monitor.tasks.names import fits
from services.monitor.tasks.result_client import ResultClient
from services.monitor.tasks.result_keys import key_before_group, key_before_id
from services.monitor.tasks.stored_json import object_in
from services.monitor.tasks.stored_values import values_of
from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.tasks.values import shortened

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS, TIMEOUT_SECONDS_OF_MANY = 1.0, 3.0
# Bytes of a stored result that are read for what stands beside it.
MOST_BYTES = 1024 * 1024
MOST_BYTES_OF_MANY = 64 * 1024
MOST_CHILDREN = 1_000


@dataclass(frozen=True)
class StoredMeta:
    """`state`: in Celery's words, or the application's own. `children`: ids of the tasks that it called.

    All is empty if nothing is stored, or could be read.
    """

    state: str = ""
    group_id: str = ""
    children: tuple[str, ...] = ()


NOTHING = StoredMeta()


class StoredMetas:
    """Reads from the client's backend, whose keys have the prefix (its `global_keyprefix`)."""

    def __init__(self, client: ResultClient, key_prefix: str = "") -> None:
        self._prefix, self._group_prefix = key_before_id(key_prefix), key_before_group(key_prefix)
        self._client = client

    async def of(self, task_id: str) -> StoredMeta:
        key = self._prefix + task_id
        try:
            # Somebody waits for the task, which is shown without it, too.
            async with asyncio.timeout(TIMEOUT_SECONDS):
                if not 0 < await self._client.strlen(key) <= MOST_BYTES:
                    return NOTHING
                value = await self._client.get(key)
        except (RedisError, OSError) as error:
            log.warning("results.not_read", error=for_log(error))
            return NOTHING
        return NOTHING if value is None else meta_in(value)

    async def of_many(self, task_ids: Sequence[str]) -> Mapping[str, StoredMeta] | None:
        """Returns what is stored of these tasks, in at most `MOST_BYTES_OF_MANY` bytes of each.

        None: it could not be read.
        """
        keys = {self._prefix + task_id: task_id for task_id in task_ids}
        values = await self._many(list(keys)) if keys else {}
        if values is None:
            return None
        return await asyncio.to_thread(lambda: {keys[key]: meta_in(value) for key, value in values.items()})

    async def members_of(self, group_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """Returns the tasks of those of the groups that the application has saved (`GroupResult.save`)."""
        keys = {self._group_prefix + group_id: group_id for group_id in group_ids}
        values = (await self._many(list(keys)) if keys else None) or {}
        metas = {keys[key]: object_in(value, MOST_BYTES_OF_MANY) for key, value in values.items()}
        return {group_id: tuple(ids_in(meta.get("result"))) for group_id, meta in metas.items() if meta}

    async def _many(self, keys: Sequence[str]) -> Mapping[str, bytes] | None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS_OF_MANY):
                return await values_of(self._client, keys, MOST_BYTES_OF_MANY)
        except (RedisError, OSError) as error:
            log.warning("results.not_read", error=for_log(error))
            return None


def meta_in(value: bytes) -> StoredMeta:
    """Returns what a stored value tells. Any program that reaches the backend can write anything."""
    meta = object_in(value, MOST_BYTES)
    if meta is None:
        return NOTHING
    state, group_id = meta.get("status"), meta.get("group_id")
    return StoredMeta(
        shortened(state, MOST_NAME) if isinstance(state, str) else "",
        group_id if isinstance(group_id, str) and fits(group_id) else "",
        tuple(ids_in(meta.get("children"))),
    )


def ids_in(results: Any) -> Iterator[str]:
    """Yields the ids of tasks in results as Celery writes them: [[id, parent], null] for a task, and
    [[id, parent], [result, ...]] for a group, which is no task itself."""
    waiting, found = [results], 0
    while waiting and found < MOST_CHILDREN:
        result = waiting.pop()
        if not isinstance(result, list):
            continue
        named = result[0] if len(result) == 2 and isinstance(result[0], list) else []
        if len(named) == 2 and isinstance(named[0], str) and not isinstance(result[1], str):
            if isinstance(result[1], list):
                waiting.extend(reversed(result[1]))
            elif named[0] and fits(named[0]):
                found += 1
                yield named[0]
        else:
            waiting.extend(reversed(result))
