"""Decodes Celery's event messages from the envelopes in which kombu sends them.

An envelope is a JSON object that contains the body in base64. The body is one event, or a list of events
("task-multi"). At tens of thousands of events a second, parsing the envelope is expensive: if it has exactly
the form that kombu writes, the body is sliced out; any other envelope is parsed as JSON. So the relay opens
the envelopes, and keeps the bodies. The bodies of many messages are then parsed at once, as one list: a
parser that is called for each of them takes more than twice as long.

Events that can't be read are dropped, and the caller counts them: any client of the broker can publish to the
channel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import orjson
import pybase64

from services.monitor.tasks.custom_states import PREFIX
from services.monitor.tasks.names import ALWAYS_FITS, fits
from services.monitor.tasks.tasks import TIME_OF_TYPE

Event: TypeAlias = dict[str, Any]

MOST_BYTES = 4 * 1024 * 1024
# Messages that are parsed together: of more of them the objects would leave the processor's cache before they
# are used.
AT_ONCE = 32
# From 1970 to 9999, in seconds.
LATEST = 253402300799
# What a message that can't be read is opened to: it is no event, and is counted as such.
UNREADABLE = b"null"
# Parts of an envelope, exactly as kombu writes them.
_START = b'{"body": "'
_AFTER_BODY = b'", "content-encoding": "utf-8", "content-type": "application/json"'
_BASE64 = b'"body_encoding": "base64"'
# Faster than `in`, for texts of this length.
_MAY_HAVE_NUL = re.compile(rb"\\u0000").search
# An escaped NUL, whose backslash is not itself escaped.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def opened(message: bytes) -> bytes:
    """Returns the body of a message of the event channel: JSON, as far as its envelope tells."""
    try:
        return _body(message)
    except ValueError:
        return UNREADABLE


def decode(message: bytes) -> tuple[list[Event], int]:
    """Returns the valid events in a message of the event channel, and the number of invalid ones.

    A message that can't be read counts as one invalid event.
    """
    return events_in([opened(message)])


def events_in(messages: Sequence[bytes]) -> tuple[list[Event], int]:
    """Returns the valid events in messages that are opened, in order, and the number of invalid ones.

    A valid event has a `type`, a finite `timestamp` (seconds since 1970), and, if it is a task event, a
    `uuid` of at most 1,024 bytes. A message that can't be read counts as one invalid event, and one that is
    still in its envelope is opened.
    """
    sound: list[Event] = []
    refused = 0
    parts = (messages[at : at + AT_ONCE] for at in range(0, len(messages), AT_ONCE))
    for body in chain.from_iterable(map(_parsed, parts)):
        for event in body if type(body) is list else [body]:
            if _is_sound(event):
                sound.append(event)
            else:
                refused += 1
    return sound, refused


def _parsed(messages: Sequence[bytes]) -> list[Any]:
    joined = b",".join(messages)
    if len(joined) <= MOST_BYTES:
        try:
            bodies = orjson.loads(_without_nul(b"[%b]" % joined))
        except ValueError:
            pass
        else:
            # Bodies that are no JSON by themselves may be JSON together, as "[1" and "2]" are.
            if len(bodies) == len(messages) and not any(map(_is_envelope, bodies)):
                return list(bodies)
    return [_parsed_alone(message) for message in messages]


def _parsed_alone(message: bytes) -> Any:
    try:
        body = orjson.loads(_without_nul(message))
        return orjson.loads(_without_nul(opened(message))) if _is_envelope(body) else body
    except ValueError:
        return None


def _is_envelope(body: Any) -> bool:
    return type(body) is dict and "content-type" in body and "type" not in body


def _body(message: bytes) -> bytes:
    """Raises `ValueError`, as the parsers do, for what kombu would not have written."""
    if len(message) > MOST_BYTES:
        raise ValueError("too large")
    if message.startswith(_START):
        end = message.find(b'"', len(_START))
        if message.startswith(_AFTER_BODY, end) and message.find(_BASE64, end) > 0:
            return pybase64.b64decode(message[len(_START) : end])
    envelope = orjson.loads(message)
    if type(envelope) is not dict or envelope.get("content-type") != "application/json":
        raise ValueError("not JSON")
    properties, body = envelope.get("properties"), envelope.get("body")
    if type(properties) is not dict or type(body) is not str:
        raise ValueError("not an envelope")
    if properties.get("body_encoding") == "base64":
        return pybase64.b64decode(body)
    return body.encode()


def _without_nul(body: bytes) -> bytes:
    """Replaces NUL characters, which PostgreSQL's type text can't hold. In JSON they are always escaped."""
    return _ESCAPED_NUL.sub(rb"\1\\ufffd", body) if _MAY_HAVE_NUL(body) else body


def _is_sound(event: Any) -> bool:
    if type(event) is not dict:
        return False
    kind, made = event.get("type"), event.get("timestamp")
    if type(kind) is not str or not isinstance(made, (float, int)) or not 0 < made < LATEST:
        return False
    # A custom event of a task has its id too; one without is about something else.
    if kind in TIME_OF_TYPE or (kind.startswith(PREFIX) and "uuid" in event):
        task_id = event.get("uuid")
        return type(task_id) is str and task_id != "" and (len(task_id) <= ALWAYS_FITS or fits(task_id))
    return True
