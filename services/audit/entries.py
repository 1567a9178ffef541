"""Entries: the canonical bytes that are stored, and the columns for searching them."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from services.kernel.errors import FieldFault, Invalid

KINDS = ("intent", "outcome", "refusal")
MOST_BYTES = 256 * 1024
EXAMPLE = '{"id":"6f2c…","kind":"intent","method":"/celeriac.scheduler.v1.ScheduleService/CreateSchedule",…}'
TEXTS = ("actor", "role", "issuer", "method", "resource", "code", "message", "address")
MORE_TEXTS = ("user_agent", "request_id")


class _NotAnEntry(Exception):
    """What is wrong, in words."""


@dataclass(frozen=True)
class Entry:
    """One leaf of the log. Only `body` is hashed; all other fields are read from it."""

    body: bytes
    event_id: uuid.UUID
    kind: str
    time: dt.datetime
    actor: str
    role: str
    issuer: str
    method: str
    resource: str
    code: str
    message: str
    address: str
    user_agent: str
    request_id: str
    duration_ms: float | None


def parse_entry(body: bytes, position: str) -> Entry:
    """Parses an entry. Raises `Invalid` for the field `position` ("entries[3]") if it is not canonical."""
    try:
        content = _content(body)
        return Entry(
            body=body,
            event_id=_id(_text(content, "id")),
            kind=_kind(_text(content, "kind")),
            time=_time(_text(content, "time")),
            duration_ms=_number(content, "duration_ms"),
            # PostgreSQL's text has no NUL; the bytes beside the column keep it.
            **{name: _text(content, name, "").replace("\0", "\\u0000") for name in (*TEXTS, *MORE_TEXTS)},
        )
    except _NotAnEntry as error:
        fault = f"is not an entry ({error})"
        raise Invalid([FieldFault(position, fault, EXAMPLE)]) from error


def _content(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _NotAnEntry(f"not JSON: {error}") from error
    if len(body) > MOST_BYTES or orjson.dumps(content, option=orjson.OPT_SORT_KEYS) != body:
        raise _NotAnEntry("not canonical JSON of at most 256 KiB")
    if not isinstance(content, dict):
        raise _NotAnEntry("not a JSON object")
    return content


def _text(content: dict[str, Any], name: str, otherwise: str | None = None) -> str:
    """The field's text; `otherwise` where there is no such field, which is a fault if that is None."""
    value = content.get(name, otherwise)
    if not isinstance(value, str):
        raise _NotAnEntry(f"{name} is not text" if name in content else f"{name} is missing")
    return value


def _kind(text: str) -> str:
    if text not in KINDS:
        raise _NotAnEntry(f"kind is none of {', '.join(KINDS)}")
    return text


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise _NotAnEntry("id is not a UUID") from error


def _time(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise _NotAnEntry("time is not one of ISO 8601, in the years 1 to 9999") from error


def _number(content: dict[str, Any], name: str) -> float | None:
    value = content.get(name)
    if value is not None and not isinstance(value, int | float):
        raise _NotAnEntry(f"{name} is not a number")
    return value
