"""The results of tasks, whole, as Celery's result backend stores them (tasks/result_keys.py)."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import RedisError, ResponseError

from services.kernel.errors import FailedPrecondition, NotFound, Unavailable
from services.kernel.logged_errors import for_log
from services.monitor.tasks.names import fits
from services.monitor.tasks.redaction import NOT_KEPT, Redaction
from services.monitor.tasks.result_client import ResultClient
from services.monitor.tasks.result_keys import key_before_id
from services.monitor.tasks.stored_json import date_done_of_end, object_in, plain_of, status_of_begin
from services.monitor.tasks.stored_meta import ids_in
from services.monitor.tasks.tasks import ENDED_FOR_GOOD, MOST_NAME, Task
from services.monitor.tasks.values import retries_in, shortened, time_in

log = structlog.get_logger(__name__)

BACKEND = "the result backend"
TIMEOUT_SECONDS = 5.0
# Bytes of the begin and of the end of a value that is too large to be read, which tell its state and time.
PART_BYTES = 4 * 1024
# Celery's default of result_expires.
USUALLY_KEPT = dt.timedelta(days=1)
UNREADABLE = (
    "what is stored of the task {id!r} is no JSON object as Celery writes it: another serializer (pickle), a"
    ' compression that is not known here, or another program. Set result_serializer="json" in the application'
)


@dataclass(frozen=True)
class TaskResult:
    """Empty texts and None: not stored. `result`, `args` and `kwargs` are JSON; `size`: in bytes."""

    task_id: str
    status: str
    size: int
    done_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    truncated: bool = False
    result: str = ""
    traceback: str = ""
    worker: str = ""
    task: str = ""
    queue: str = ""
    retries: int = 0
    args: str = ""
    kwargs: str = ""
    children: tuple[str, ...] = ()
    parent_id: str = ""
    group_id: str = ""


class TaskResults:
    """`client`: None where there is no backend; `key_prefix`: the backend's `global_keyprefix`."""

    def __init__(self, client: ResultClient | None, key_prefix: str, redaction: Redaction) -> None:
        self._client = client
        self._prefix = key_before_id(key_prefix)
        self._redaction = redaction

    @property
    def there(self) -> bool:
        return self._client is not None

    async def of(self, task_id: str, most: int) -> TaskResult | None:
        """Returns what is stored; None if nothing is. What has more than `most` bytes is told in short.

        Raises `FailedPrecondition` if it can't be read, and `Unavailable` if the backend is away.
        """
        if self._client is None:
            return None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._read(self._client, task_id, most)
        except ResponseError as error:
            # A key of another kind.
            raise unreadable(task_id) from error
        except (RedisError, OSError) as error:
            log.warning("results.not_read", error=for_log(error))
            raise Unavailable(BACKEND) from error

    async def _read(self, client: ResultClient, task_id: str, most: int) -> TaskResult | None:
        key, now = self._prefix + task_id, dt.datetime.now(dt.UTC)
        size, left = await client.strlen(key), await client.pttl(key)
        expires_at = now + dt.timedelta(milliseconds=left) if left >= 0 else None
        if size > most:
            begin = await client.getrange(key, 0, PART_BYTES)
            end = await client.getrange(key, -PART_BYTES, -1)
            return _in_short(task_id, size, begin, end, expires_at)
        value = await client.get(key)
        if value is None:
            return None
        # A large value takes a while to be looked through for secrets, in which others are served.
        return await asyncio.to_thread(self._result_in, task_id, value, most, expires_at)

    def _result_in(self, task_id: str, value: bytes, most: int, expires_at: dt.datetime | None) -> TaskResult:
        plain = plain_of(value, most)
        if plain is None:
            raise unreadable(task_id)
        if len(plain) > most:
            return _in_short(task_id, len(value), plain, b"", expires_at)
        meta = object_in(value, most, shown=True)
        if meta is None or not isinstance(meta.get("status"), str):
            raise unreadable(task_id)
        try:
            return self._told(task_id, meta, len(plain), expires_at)
        except RecursionError as error:
            raise unreadable(task_id) from error

    def _told(
        self, task_id: str, meta: dict[str, Any], size: int, expires_at: dt.datetime | None
    ) -> TaskResult:
        traceback, extended = meta.get("traceback"), "args" in meta
        # A task that calls itself again for a retry, and has no parent, is named as its own by Celery.
        parent_id = _name(meta.get("parent_id"))
        return TaskResult(
            task_id,
            shortened(meta["status"], MOST_NAME),
            size,
            _time(meta.get("date_done")),
            expires_at,
            result=self._json(meta.get("result")),
            traceback=self._redaction.exception(traceback) if isinstance(traceback, str) else "",
            worker=_name(meta.get("worker")),
            task=shortened(name, MOST_NAME) if isinstance(name := meta.get("name"), str) else "",
            queue=_name(meta.get("queue")),
            retries=retries_in(meta) or 0,
            args=self._json(meta["args"]) if extended else "",
            kwargs=self._json(meta.get("kwargs")) if extended else "",
            children=tuple(ids_in(meta.get("children"))),
            parent_id="" if parent_id == task_id else parent_id,
            group_id=_name(meta.get("group_id")),
        )

    def _json(self, value: Any) -> str:
        shown = self._redaction.value(value)
        return NOT_KEPT if shown == NOT_KEPT else json.dumps(shown, ensure_ascii=False)


def unreadable(task_id: str) -> FailedPrecondition:
    return FailedPrecondition("RESULT_UNREADABLE", UNREADABLE.format(id=task_id))


def not_stored(task_id: str, task: Task | None, *, there: bool, now: dt.datetime) -> NotFound:
    """Returns the error of a result that is not stored, with the likely reason.

    `there`: whether there is a backend.
    """
    return NotFound(
        "result",
        f"tasks/{task_id}",
        f"no result of the task {task_id!r} is stored: " + _why(task, there=there, now=now),
    )


def _why(task: Task | None, *, there: bool, now: dt.datetime) -> str:
    if not there:
        return (
            'CELERIAC_RESULT_URL is "none", so no result backend is read; set it to the address of the'
            " application's"
        )
    if task is None:
        return (
            "nothing was ever heard of the task either. It may have expired (result_expires, a day by"
            " default), or the id is wrong"
        )
    if task.state not in ENDED_FOR_GOOD:
        return f"it is {task.state.value}, and Celery stores a result when a task ends"
    if task.ended_at is not None and now - task.ended_at > USUALLY_KEPT:
        return (
            f"it ended at {task.ended_at.isoformat(timespec='seconds')}, and has probably expired"
            " (result_expires, a day by default)"
        )
    return (
        "the task or the application ignores results (ignore_result), result_expires is less than a day, or"
        " the application has another result backend than CELERIAC_RESULT_URL or another key prefix than"
        " CELERIAC_RESULT_KEY_PREFIX"
    )


def _in_short(
    task_id: str, size: int, begin: bytes, end: bytes, expires_at: dt.datetime | None
) -> TaskResult:
    done_at = time_in(date_done_of_end(end))
    return TaskResult(task_id, status_of_begin(begin), size, done_at, expires_at, truncated=True)


def _name(value: Any) -> str:
    return value if isinstance(value, str) and fits(value) else ""


def _time(value: Any) -> dt.datetime | None:
    return time_in(value) if isinstance(value, str) else None
