"""Reads values of events, in which any program that reaches the broker can write anything."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from services.monitor.tasks.names import cut, fits
from services.monitor.tasks.tasks import MOST_NAME

# Names that are found again fast, each of at most a kilobyte.
MOST_SHARED = 2_000

# As the first step of a call takes it: services/kernel/grpc/observe.py.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
RUN = re.compile(r"schedules/[a-z0-9][a-z0-9_.-]{0,199}/runs/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z")


class SealedText(str):
    """A text that was encrypted here. Of this type nothing is that came from the broker, whatever it says."""

    __slots__ = ()


def text_in(event: Mapping[str, Any], field: str, most: int) -> str | None:
    """Returns a text; one of more than `most` characters is cut, and ends in "…"."""
    value = event.get(field)
    if value is None or type(value) is not str:
        return None
    return value if len(value) <= most else shortened(value, most)


def shortened(value: str, most: int) -> str:
    """Returns the text; one of more than `most` characters is cut, and ends in "…"."""
    return value if len(value) <= most else value[: most - 1] + "…"


@lru_cache(MOST_SHARED)
def shared_name(name: str) -> str:
    """Returns the name of a queue or the hostname of a worker; one that is too long is cut.

    The same text for all tasks that have it, so that each of 100,000 has no copy of its own.
    """
    return sys.intern(cut(name))


@lru_cache(MOST_SHARED)
def shared_task_name(name: str) -> str:
    """The same for registered names of tasks."""
    return sys.intern(shortened(name, MOST_NAME))


def id_in(event: Mapping[str, Any], field: str) -> str | None:
    """Returns the id of another task. One that is too long is left out: cut, it would name no task."""
    value = event.get(field)
    return value if type(value) is str and fits(value) else None


def run_in(event: Mapping[str, Any]) -> str | None:
    """Returns the name of the scheduler's run, which only the scheduler's own events have."""
    value = event.get("run")
    return value if type(value) is str and RUN.fullmatch(value) else None


def request_id_in(event: Mapping[str, Any]) -> str | None:
    """Returns the id of the request that had the task sent, which only our own events have."""
    value = event.get("request_id")
    return value if type(value) is str and REQUEST_ID.fullmatch(value) else None


def pid_in(event: Mapping[str, Any]) -> int | None:
    """Returns the id of the process that sent the event."""
    value = event.get("pid")
    return value if type(value) is int and 0 <= value < 2**63 else None


def retries_in(event: Mapping[str, Any]) -> int | None:
    """Returns the number of the try: 0 for the first."""
    value = event.get("retries")
    return value if type(value) is int and 0 <= value < 2**31 else None


def seconds_in(event: Mapping[str, Any], field: str) -> float | None:
    value = event.get(field)
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e9 else None


def time_in(text: str | None) -> dt.datetime | None:
    """Parses Celery's `eta` or `expires` (ISO 8601; UTC if it has no zone). Returns None if it is no time."""
    if not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
