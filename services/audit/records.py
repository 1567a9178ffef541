"""Records: an event as people read it, combined from its one or two entries."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How an event ended."""

    OK = "ok"
    FAILED = "failed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Record:
    """One event. `duration_ms` and `code` are empty while its outcome is unknown."""

    index: int
    id: uuid.UUID
    time: dt.datetime
    actor: str
    role: str
    issuer: str
    method: str
    resource: str
    outcome: Outcome
    code: str
    message: str
    address: str
    user_agent: str
    request_id: str
    duration_ms: float | None
    # The name of the resource in the answer, if it is another one than `resource`.
    result: str = ""
    request_json: str = ""


@dataclass(frozen=True)
class RecordFilter:
    """Which events to list: those that have one of the values of each filter. An empty one matches any.

    An event has the `resources` of its request and of its answer.
    """

    actors: Sequence[str] = ()
    methods: Sequence[str] = ()
    resources: Sequence[str] = ()
    addresses: Sequence[str] = ()
    outcomes: Sequence[Outcome] = ()
    start: dt.datetime | None = None
    end: dt.datetime | None = None


def outcome_of(kind: str, code: str | None) -> Outcome:
    if kind == "refusal":
        return Outcome.REFUSED
    if code is None:
        return Outcome.UNKNOWN
    if code == "OK":
        return Outcome.OK
    return Outcome.REFUSED if code in {"PERMISSION_DENIED", "UNAUTHENTICATED"} else Outcome.FAILED
