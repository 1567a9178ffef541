"""Celery messages, written as Celery itself writes them, so that a stock worker runs them.

Protocol 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html) in the envelope of kombu's Redis
transport (kombu/transport/virtual/base.py, redis.py).
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from base64 import b64encode
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import orjson

from services.scheduler.schedule.definition import Task
from services.scheduler.timing.stored import Unreadable, span_of

ORIGIN = "celeriac@scheduler"
EMBED = '{"callbacks":null,"errbacks":null,"chain":null,"chord":null}'
# What a run fills into its messages, as JSON.
PLACES = ("id", "body", "argsrepr", "kwargsrepr", "expires", "timestamp")
PLACE = re.compile(rb'"\\u0000(\w+)"')
# What a schedule's messages say of its arguments, as JSON: body, argsrepr, kwargsrepr.
Content: TypeAlias = tuple[bytes, bytes, bytes]
# Nearly every schedule has one of these.
NO_ARGUMENTS = {("[]", list): b'"()"', ("{}", dict): b'"{}"'}
# What is to be stored, by the kind of the JSON value.
ARGUMENTS = {list: "args_json is not a JSON array", dict: "kwargs_json is not a JSON object"}
# When a message expires whose time to expire leads beyond the years that there are.
FIRST, LAST = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


EVENTS_ENVELOPE = orjson.dumps(
    {
        "body": "%b",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"hostname": ORIGIN},
        "properties": {
            "delivery_mode": 1,
            "delivery_info": {"exchange": "celeryev", "routing_key": "task.multi"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "%b",
        },
    }
)


class Message(NamedTuple):
    """A message ready for the broker: where it goes, and its bytes."""

    task_id: str
    queue: str
    priority: int
    envelope: bytes
    # The task-sent event that tells monitors of it, as JSON.
    event: bytes


class Template(NamedTuple):
    """JSON with %b where a run fills in, and which of its PLACES go there, in order."""

    text: bytes
    pick: Callable[[tuple[bytes, ...]], Any]

    def filled(self, run: tuple[bytes, ...]) -> bytes:
        filled: bytes = self.text % self.pick(run)
        return filled


class Frame:
    """What the messages of a task, a queue and their settings have in common, made once for all schedules."""

    __slots__ = ("_envelope", "_event", "_priority", "_queue")

    def __init__(self, queue: str, priority: int, envelope: Template, event: Template) -> None:
        self._queue, self._priority = queue, priority
        self._envelope, self._event = envelope, event

    def message(self, task_id: str, content: Content, expires: bytes, now: dt.datetime) -> Message:
        """The message of one run. `expires` is JSON, as `expiry` gives it."""
        run = b'"%b"' % task_id.encode(), *content, expires, _timestamp(now)
        return Message(
            task_id, self._queue, self._priority, self._envelope.filled(run), self._event.filled(run)
        )


class MessageTemplate:
    """What all messages of one schedule have in common, made once. With it, each message can be written.

    Raises `Unreadable`, with the name of what is at fault, for a task that the API would have refused.
    """

    __slots__ = ("_content", "_expires", "_frame")

    def __init__(self, task: Task) -> None:
        headers = orjson.dumps(dict(task.headers)).decode() if task.headers else "{}"
        _check_seconds("expires", task.expires)
        self._frame = frame_of(
            task.name, task.queue, task.priority, task.soft_time_limit, task.time_limit, headers
        )
        self._content = content_of(task.args_json, task.kwargs_json)
        self._expires = task.expires

    def message(self, task_id: str, due: dt.datetime, now: dt.datetime) -> Message:
        """The message of one run. `due`: from when its time to expire counts."""
        return self._frame.message(task_id, self._content, expiry(self._expires, due), now)


def content_of(args_json: str, kwargs_json: str) -> Content:
    """Raises `Unreadable` when the arguments are not a JSON array and a JSON object."""
    argsrepr, kwargsrepr = _shown(args_json, list), _shown(kwargs_json, dict)
    body = b'"%b"' % b2a_base64(f"[{args_json},{kwargs_json},{EMBED}]".encode(), newline=False)
    return body, argsrepr, kwargsrepr


def expiry(seconds: float | None, due: dt.datetime) -> bytes:
    """When a run expires that has so many seconds from `due` on, as JSON. Raises `Unreadable`."""
    if seconds is None:
        return b"null"
    try:
        until = due + span_of(seconds)
    except OverflowError:
        until = LAST if seconds > 0 else FIRST
    return b'"%b"' % until.isoformat().encode()


def _shown(arguments_json: str, kind: type[list[Any]] | type[dict[str, Any]]) -> bytes:
    """The arguments as Celery shows them to people, as JSON."""
    known = NO_ARGUMENTS.get((arguments_json, kind))
    if known is not None:
        return known
    try:
        arguments = orjson.loads(arguments_json)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"{ARGUMENTS[kind]} ({error})") from error
    if not isinstance(arguments, kind):
        raise Unreadable(ARGUMENTS[kind])
    try:
        shown = repr(arguments if kind is dict else tuple(arguments))
    except RecursionError as error:
        raise Unreadable(f"{ARGUMENTS[kind]} that can be shown: it is nested too deep") from error
    return b"%b" % orjson.dumps(shown[:1024])  # copied: orjson's own bytes keep 4 KiB at least


@lru_cache(maxsize=16)
def _timestamp(now: dt.datetime) -> bytes:
    return b"%.6f" % now.timestamp()


@lru_cache(maxsize=1000)
def frame_of(
    name: str,
    queue: str,
    priority: int,
    soft_time_limit: float | None,
    time_limit: float | None,
    headers_json: str,
) -> Frame:
    """The frame of a task's messages; times in seconds. `headers_json`: a JSON object of texts.

    Raises `Unreadable`, with the name of what is at fault.
    """
    _check_seconds("soft_time_limit", soft_time_limit)
    _check_seconds("time_limit", time_limit)
    headers = texts_of("headers", headers_json)
    envelope = {
        "body": _place("body"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**headers, **_headers(name, [time_limit, soft_time_limit])},
        "properties": {
            "correlation_id": _place("id"),
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority,
            "body_encoding": "base64",
            # Names this one message, as the task id does: there is one message a run.
            "delivery_tag": _place("id"),
        },
    }
    return Frame(queue, priority, _template(envelope), _template(_event(name, queue)))


def texts_of(name: str, texts_json: str) -> dict[str, str]:
    """A JSON object of texts. Raises `Unreadable` with the name, and shows nothing of it."""
    try:
        found = orjson.loads(texts_json)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"{name} is not JSON ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise Unreadable(f"{name} is not a JSON object of texts")
    return found


def _check_seconds(name: str, seconds: float | None) -> None:
    try:
        if seconds is not None:
            span_of(seconds)
    except Unreadable as error:
        raise Unreadable(f"{name} {error}") from None


def _headers(name: str, time_limits: list[float | None]) -> dict[str, object]:
    return {
        "lang": "py",
        "task": name,
        "id": _place("id"),
        "shadow": None,
        "eta": None,
        "expires": _place("expires"),
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": time_limits,
        "root_id": _place("id"),
        "parent_id": None,
        "argsrepr": _place("argsrepr"),
        "kwargsrepr": _place("kwargsrepr"),
        "origin": ORIGIN,
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def _event(name: str, queue: str) -> dict[str, object]:
    return {
        "type": "task-sent",
        "uuid": _place("id"),
        "root_id": _place("id"),
        "parent_id": None,
        "name": name,
        "args": _place("argsrepr"),
        "kwargs": _place("kwargsrepr"),
        "retries": 0,
        "eta": None,
        "expires": _place("expires"),
        "queue": queue,
        "exchange": "",
        "routing_key": queue,
        "hostname": ORIGIN,
        "pid": 0,
        "clock": 0,
        "utcoffset": 0,
        "timestamp": _place("timestamp"),
    }


def _place(name: str) -> str:
    """Stands for JSON that each run has of its own. No stored text has a NUL: PostgreSQL's can't."""
    return f"\0{name}"


# What each message has: who gave one of these would not be heeded.
CELERYS_HEADERS = frozenset(_headers("", [None, None]))


def _template(message: Mapping[str, object]) -> Template:
    text = orjson.dumps(message).replace(b"%", b"%%")
    places = [PLACES.index(name.decode()) for name in PLACE.findall(text)]
    return Template(PLACE.sub(b"%b", text), itemgetter(*places))


def event_envelope(events: list[bytes]) -> bytes:
    """Several events as one message of Celery's event exchange ("task-multi")."""
    return EVENTS_ENVELOPE % (b64encode(b"[%b]" % b",".join(events)), str(uuid.uuid4()).encode())
