"""Decodes Celery's event messages from the envelopes in which kombu sends them.

An envelope is a JSON object that contains the body in base64. The body is one event, or a list of events
("task-multi"). At tens of thousands of events a second, parsing the envelope is expensive: if it has exactly
the form that kombu writes, the body is sliced out; any other envelope is parsed as JSON. Events that can't be
read are dropped, and the caller counts them: any client of the broker can publish to the channel.
"""

from __future__ import annotations

import binascii
import re
from typing import Any, TypeAlias

import orjson

from services.monitor.tasks.custom_states import PREFIX
from services.monitor.tasks.names import fits
from services.monitor.tasks.tasks import TIME_OF_TYPE

Event: TypeAlias = dict[str, Any]

MOST_BYTES = 4 * 1024 * 1024
# From 1970 to 9999, in seconds.
LATEST = 253402300799
# Parts of an envelope, exactly as kombu writes them.
_START = b'{"body": "'
_AFTER_BODY = b'", "content-encoding": "utf-8", "content-type": "application/json"'
_BASE64 = b'"body_encoding": "base64"'
# An escaped NUL, whose backslash is not itself escaped.
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def decode(message: bytes) -> tuple[list[Event], int]:
    """Returns the valid events in a message of the event channel, and the number of invalid ones.

    A valid event has a `type`, a finite `timestamp` (seconds since 1970), and, if it is a task event, a
    `uuid` of at most 1,024 bytes. A message that can't be read counts as one invalid event.
    """
    try:
        body = orjson.loads(_body(message))
    except ValueError:
        return [], 1
    events = body if type(body) is list else [body]
    sound = [event for event in events if _is_sound(event)]
    return sound, len(events) - len(sound)


def _body(message: bytes) -> bytes:
    """Raises `ValueError`, as the parsers do, for what kombu would not have written."""
    if len(message) > MOST_BYTES:
        raise ValueError("too large")
    if message.startswith(_START):
        end = message.find(b'"', len(_START))
        if message.startswith(_AFTER_BODY, end) and message.find(_BASE64, end) > 0:
            return _without_nul(binascii.a2b_base64(message[len(_START) : end]))
    envelope = orjson.loads(message)
    if type(envelope) is not dict or envelope.get("content-type") != "application/json":
        raise ValueError("not JSON")
    properties, body = envelope.get("properties"), envelope.get("body")
    if type(properties) is not dict or type(body) is not str:
        raise ValueError("not an envelope")
    if properties.get("body_encoding") == "base64":
        return _without_nul(binascii.a2b_base64(body))
    return _without_nul(body.encode())


def _without_nul(body: bytes) -> bytes:
    """Replaces NUL characters, which PostgreSQL's type text can't hold. In JSON they are always escaped."""
    return _ESCAPED_NUL.sub(rb"\1\\ufffd", body) if b"\\u0000" in body else body


def _is_sound(event: Any) -> bool:
    if type(event) is not dict:
        return False
    kind, made = event.get("type"), event.get("timestamp")
    if type(kind) is not str or not isinstance(made, (float, int)) or not 0 < made < LATEST:
        return False
    # A custom event of a task has its id too; one without is about something else.
    if kind in TIME_OF_TYPE or (kind.startswith(PREFIX) and "uuid" in event):
        task_id = event.get("uuid")
        return type(task_id) is str and task_id != "" and fits(task_id)
    return True
