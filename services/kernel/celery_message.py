"""Makes Celery messages in the form in which Celery itself makes them, so that any Celery worker runs them.

The form is protocol 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html) in the envelope of kombu's
Redis transport (kombu/transport/virtual/base.py, redis.py).
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from base64 import b64encode
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import orjson

from services.kernel.stored_values import Unreadable, span_of

ORIGIN = "celeriac@scheduler"
EMBED = '{"callbacks":null,"errbacks":null,"chain":null,"chord":null}'
# The values that differ from run to run. Each is filled in as JSON.
PLACES = ("id", "body", "argsrepr", "kwargsrepr", "expires", "timestamp", "run", "request")
PLACE = re.compile(rb'"\\u0000(\w+)"')
# A schedule's arguments in the forms that its messages contain, as JSON: body, argsrepr, kwargsrepr.
Content: TypeAlias = tuple[bytes, bytes, bytes]
LONG_NUMBER = re.compile(r"[0-9]{19}")
# Most runs were due, and no request asked for them.
NO_TEXT = b'""'
# The representations of empty arguments, which most schedules have: they need not be computed.
NO_ARGUMENTS = {("[]", list): b'"()"', ("{}", dict): b'"{}"'}
# The errors for stored arguments that are not JSON of the required kind.
ARGUMENTS = {list: "args_json is not a JSON array", dict: "kwargs_json is not a JSON object"}
# The expiry of a message whose time to expire leads beyond the years that Python's datetime supports.
FIRST, LAST = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


# Our own headers, by which a task's log lines tell whence it comes: the name of its run, and the id of the
# request that a person or a program made. The client's `celeriac.log_ids` reads them in any application.
RUN_HEADER, REQUEST_HEADER = "celeriac_run", "celeriac_request_id"


def _place(name: str) -> str:
    """Returns a placeholder for a value of a run. It has a NUL, which no text in PostgreSQL can contain."""
    return f"\0{name}"


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
    # The task-sent event of the message for monitors, as JSON.
    event: bytes


class Descent(NamedTuple):
    """Where a message comes from.

    `root_id`, `parent_id`: as in Celery; None: it is the first of its workflow, or called from no task.
    `eta`: the time from which on it may run, as ISO 8601 has it. `run`: the name of the run; `request_id`:
    of the call that asked for it. Empty: there is none.
    """

    origin: str = ORIGIN
    root_id: str | None = None
    parent_id: str | None = None
    eta: str | None = None
    run: str = ""
    request_id: str = ""


# Of a run that was due, and of one that a call asked for: what differs from run to run is filled in.
OF_A_RUN = Descent(run=_place("run"))
OF_A_CALLED_RUN = OF_A_RUN._replace(request_id=_place("request"))


class Template(NamedTuple):
    """JSON with a %b for each value of a run; `pick` selects those values from the PLACES, in order."""

    text: bytes
    pick: Callable[[tuple[bytes, ...]], Any]


class Frame:
    """What all messages with the same task, queue and settings have in common; schedules share it."""

    __slots__ = ("_envelope", "_event", "_pick_envelope", "_pick_event", "_priority", "_queue")

    def __init__(self, queue: str, priority: int, envelope: Template, event: Template) -> None:
        self._queue, self._priority = queue, priority
        # Not as templates, which would have to be taken apart again for each run.
        self._envelope, self._pick_envelope = envelope
        self._event, self._pick_event = event

    def message(
        self,
        task_id: str,
        content: Content,
        expires: bytes,
        now: dt.datetime,
        run_name: str,
        request_id: str = "",
    ) -> Message:
        """Returns the message of one run. `expires` is JSON, as `expiry` returns it."""
        names = orjson.dumps(run_name), orjson.dumps(request_id) if request_id else NO_TEXT
        run = b'"%b"' % task_id.encode(), *content, expires, _timestamp(now), *names
        envelope, event = self._envelope % self._pick_envelope(run), self._event % self._pick_event(run)
        return Message(task_id, self._queue, self._priority, envelope, event)


def content_of(args_json: str, kwargs_json: str) -> Content:
    """Returns the content. Raises `Unreadable` unless the arguments are a JSON array and a JSON object."""
    argsrepr, kwargsrepr = _shown(args_json, list), _shown(kwargs_json, dict)
    body = b'"%b"' % b2a_base64(f"[{args_json},{kwargs_json},{EMBED}]".encode(), newline=False)
    return body, argsrepr, kwargsrepr


def expiry(seconds: float | None, due: dt.datetime) -> bytes:
    """Returns the time `seconds` after `due`, as JSON; null if there is no expiry. Raises `Unreadable`."""
    if seconds is None:
        return b"null"
    try:
        until = due + span_of(seconds)
    except OverflowError:
        until = LAST if seconds > 0 else FIRST
    return b'"%b"' % until.isoformat().encode()


def _shown(arguments_json: str, kind: type[list[Any]] | type[dict[str, Any]]) -> bytes:
    """Returns argsrepr or kwargsrepr, the text in which Celery shows the arguments to people, as JSON."""
    known = NO_ARGUMENTS.get((arguments_json, kind))
    if known is not None:
        return known
    try:
        # orjson is fast, but makes floats of whole numbers that don't fit 64 bits.
        read = json.loads if LONG_NUMBER.search(arguments_json) else orjson.loads
        arguments = read(arguments_json)
    except ValueError as error:
        # Both libraries raise it for text that is no JSON, and Python for numbers of more than 4,300 digits.
        raise Unreadable(f"{ARGUMENTS[kind]} ({error})") from error
    if not isinstance(arguments, kind):
        raise Unreadable(ARGUMENTS[kind])
    try:
        shown = repr(arguments if kind is dict else tuple(arguments))
    except RecursionError as error:
        raise Unreadable(f"{ARGUMENTS[kind]} that can be shown: it is nested too deep") from error
    return b"%b" % orjson.dumps(shown[:1024])  # a copy: the bytes that orjson returns hold 4 KiB or more


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
    descent: Descent = OF_A_RUN,
) -> Frame:
    """Returns the frame of a schedule's messages; times in seconds. `headers_json`: a JSON object of texts.

    Raises `Unreadable`, with the name of the field at fault.
    """
    headers = texts_of("headers", headers_json)
    return frame(name, queue, priority, (soft_time_limit, time_limit), headers, descent)


def frame(
    name: str,
    queue: str,
    priority: int,
    limits: tuple[float | None, float | None],
    headers: Mapping[str, str],
    descent: Descent,
) -> Frame:
    """Returns a frame of its own, which is not remembered; `limits`: the soft one and the hard one.

    Raises `Unreadable`, with the name of the field at fault.
    """
    soft_time_limit, time_limit = limits
    check_seconds("soft_time_limit", soft_time_limit)
    check_seconds("time_limit", time_limit)
    envelope = {
        "body": _place("body"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {**headers, **_ours(descent), **_headers(name, [time_limit, soft_time_limit], descent)},
        "properties": {
            "correlation_id": _place("id"),
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority,
            "body_encoding": "base64",
            # Must be unique for each message. The task id is, as each run has one message.
            "delivery_tag": _place("id"),
        },
    }
    return Frame(queue, priority, _template(envelope), _template(_event(name, queue, descent)))


def texts_of(name: str, texts_json: str) -> dict[str, str]:
    """Parses a JSON object of texts. Raises `Unreadable`, with the name but without any of the values."""
    try:
        found = orjson.loads(texts_json)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"{name} is not JSON ({error})") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise Unreadable(f"{name} is not a JSON object of texts")
    return found


def check_seconds(name: str, seconds: float | None) -> None:
    try:
        if seconds is not None:
            span_of(seconds)
    except Unreadable as error:
        raise Unreadable(f"{name} {error}") from None


def _ours(descent: Descent) -> dict[str, str]:
    given = {RUN_HEADER: descent.run, REQUEST_HEADER: descent.request_id}
    return {name: value for name, value in given.items() if value}


def _headers(name: str, time_limits: list[float | None], descent: Descent = OF_A_RUN) -> dict[str, object]:
    return {
        "lang": "py",
        "task": name,
        "id": _place("id"),
        "shadow": None,
        "eta": descent.eta,
        "expires": _place("expires"),
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": time_limits,
        "root_id": descent.root_id or _place("id"),
        "parent_id": descent.parent_id,
        "argsrepr": _place("argsrepr"),
        "kwargsrepr": _place("kwargsrepr"),
        "origin": descent.origin,
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def _event(name: str, queue: str, descent: Descent) -> dict[str, object]:
    return {
        "type": "task-sent",
        "uuid": _place("id"),
        "root_id": descent.root_id or _place("id"),
        "parent_id": descent.parent_id,
        "name": name,
        "args": _place("argsrepr"),
        "kwargs": _place("kwargsrepr"),
        "retries": 0,
        "eta": descent.eta,
        "expires": _place("expires"),
        "queue": queue,
        "exchange": "",
        "routing_key": queue,
        "hostname": descent.origin,
        "pid": 0,
        "clock": 0,
        "utcoffset": 0,
        "timestamp": _place("timestamp"),
        # Our own additions, by which the monitor links the task to its run and to the request. The events of
        # workers can't tell them, as they have no headers of the message. Other monitors pass over what they
        # don't know. Empty for what no schedule sends, or no call asked for.
        "run": descent.run,
        "request_id": descent.request_id,
    }


# Headers that Celery sets itself.
CELERYS_HEADERS = frozenset(_headers("", [None, None]))
# A schedule may not set these: its values would be overwritten.
RESERVED_HEADERS = CELERYS_HEADERS | {RUN_HEADER, REQUEST_HEADER}


def _template(message: Mapping[str, object]) -> Template:
    text = orjson.dumps(message).replace(b"%", b"%%")
    places = [PLACES.index(name.decode()) for name in PLACE.findall(text)]
    return Template(PLACE.sub(b"%b", text), itemgetter(*places))


def event_envelope(events: list[bytes]) -> bytes:
    """Returns one message of Celery's event exchange that holds several events ("task.multi")."""
    return EVENTS_ENVELOPE % (b64encode(b"[%b]" % b",".join(events)), str(uuid.uuid4()).encode())
