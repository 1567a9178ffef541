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
        content = orjson.loads(body)
        if len(body) > MOST_BYTES or orjson.dumps(content, option=orjson.OPT_SORT_KEYS) != body:
            raise ValueError("not canonical JSON of at most 256 KiB")
        if content["kind"] not in KINDS:
            raise ValueError(f"kind is none of {', '.join(KINDS)}")
        texts = {name: _column(content.get(name, "")) for name in (*TEXTS, *MORE_TEXTS)}
        return Entry(
            body=body,
            event_id=uuid.UUID(content["id"]),
            kind=content["kind"],
            time=dt.datetime.fromisoformat(content["time"]).astimezone(dt.UTC),
            duration_ms=_number(content.get("duration_ms")),
            **texts,
        )
    except (KeyError, TypeError, ValueError) as error:
        fault = f"is not an entry ({error})"
        raise Invalid([FieldFault(position, fault, EXAMPLE)]) from error


def _column(value: Any) -> str:
    """Escapes NUL characters, which PostgreSQL's type text can't hold. The column `body` keeps them."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value.replace("\0", "\\u0000")


def _number(value: Any) -> float | None:
    if value is not None and not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return value
