"""A message of Celery as kombu's Redis transport stores it: JSON, with the body in base64."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.monitor.tasks.names import cut
from services.monitor.tasks.values import time_in

MOST_TEXT = 2_000
# The body stands first, and may be of any length; what follows it is short.
AFTER_BODY = b'"content-encoding"'


@dataclass(frozen=True)
class Message:
    """What can be read of a message; texts are empty, and times None, where it does not tell them.

    `args` and `kwargs` are as Python shows them, and may have secrets.
    """

    etag: str
    priority: int
    size: int
    task_id: str = ""
    task: str = ""
    eta: dt.datetime | None = None
    expires: dt.datetime | None = None
    retries: int = 0
    args: str = ""
    kwargs: str = ""
    redelivered: bool = False


def etag_of(raw: bytes) -> str:
    """Returns the digest by which a message is told from all others, 32 hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()[:32]


def read_message(raw: bytes, priority: int) -> Message:
    """Reads a message, of which nothing is taken for granted."""
    return _read(_parsed(raw), etag_of(raw), priority, len(raw))


def task_id_of(raw: bytes) -> str:
    """Returns the id of the message's task; empty if it can't be read. `raw` may lack its beginning."""
    at = raw.find(AFTER_BODY)
    envelope = _parsed(raw) or (_parsed(b"{" + raw[at:]) if at >= 0 else {})
    return _read(envelope, "", 0, 0).task_id


def names_of(raw: bytes) -> tuple[str, str]:
    """Returns the id and the registered name of the message's task."""
    message = _read(_parsed(raw), "", 0, 0)
    return message.task_id, message.task


def directed_to(raw: bytes, queue: str) -> bytes | None:
    """Returns the message with a delivery info that names the queue; None if it is none of kombu's.

    The default exchange takes the routing key for the name of the queue. So kombu puts the message back
    there when it is not acknowledged, and Celery sends a retry of the task there.
    """
    try:
        # Not by orjson, which would change large numbers.
        envelope = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    properties = envelope.get("properties") if isinstance(envelope, dict) else None
    delivery = properties.get("delivery_info") if isinstance(properties, dict) else None
    if not isinstance(delivery, dict):
        return None
    delivery["exchange"], delivery["routing_key"] = "", queue
    return json.dumps(envelope).encode()


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(envelope: Mapping[str, Any], etag: str, priority: int, size: int) -> Message:
    headers = _mapping(envelope.get("headers"))
    delivery = _mapping(_mapping(envelope.get("properties")).get("delivery_info"))
    args: Any = None
    kwargs: Any = None
    if "id" in headers:
        said = headers
        body = _body(envelope) if not isinstance(headers.get("argsrepr"), str) and etag else None
        if isinstance(body, list) and len(body) == 3:
            args, kwargs = body[0], body[1]
    else:
        # Celery's first protocol has it all in the body.
        said = _mapping(_body(envelope))
        args, kwargs = said.get("args"), said.get("kwargs")
    return Message(
        etag=etag,
        priority=priority,
        size=size,
        task_id=_text(said.get("id")),
        task=_text(said.get("task")),
        eta=_time(said.get("eta")),
        expires=_time(said.get("expires")),
        retries=_count(said.get("retries")),
        args=_shown(headers.get("argsrepr"), args),
        kwargs=_shown(headers.get("kwargsrepr"), kwargs),
        redelivered=headers.get("redelivered") is True or delivery.get("redelivered") is True,
    )


def _body(envelope: Mapping[str, Any]) -> Any:
    body = envelope.get("body")
    if not isinstance(body, str) or envelope.get("content-type") != "application/json":
        return None
    try:
        return orjson.loads(base64.b64decode(body))
    except ValueError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return cut(value.replace("\0", "\ufffd")) if isinstance(value, str) else ""


def _time(value: Any) -> dt.datetime | None:
    return time_in(value) if isinstance(value, str) else None


def _count(value: Any) -> int:
    return min(max(value, 0), 2**31 - 1) if type(value) is int else 0


def _shown(representation: Any, value: Any) -> str:
    if isinstance(representation, str):
        return representation
    return "" if value is None else repr(value)
