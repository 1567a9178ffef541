"""The form of a log line in JSON: the order of its fields, and how values of each type are written.

docs/logs.md describes the lines; log_schema.json has every field that a line may have.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from pathlib import Path
from typing import Any

import structlog

from services.kernel.logged_errors import for_log

# RFC 3339 in UTC, always with six digits, so that times as text sort as the times do.
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
# The fields that every line begins with; a person reads them first, and `make logs` finds the time at once.
FIRST = ("timestamp", "level", "service", "logger", "event", "message")
# Types whose values are logged as text; of any other object only the type is logged.
PLAIN = (dt.date, dt.time, dt.timedelta, enum.Enum, uuid.UUID, Path)


def moment(at: dt.datetime) -> str:
    """Returns a time as it is written in a line; one without a zone, which is none of ours, as it is."""
    if at.tzinfo is None:
        return at.isoformat()
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def layout(service: str) -> structlog.typing.Processor:
    """Returns the step that names the service and orders the fields.

    A field without a value is left out, and so is a number that JSON does not have (infinity).
    """

    def lay_out(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["service"] = service
        first = {name: event.pop(name) for name in FIRST if name in event}
        return first | {name: value for name, value in event.items() if _has_value(value)}

    return lay_out


def _has_value(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def plain(value: object) -> object:
    """Returns what stands in a line for a value that JSON does not have."""
    if isinstance(value, BaseException):
        return for_log(value)
    if isinstance(value, dt.datetime):
        return moment(value)
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return str(value) if isinstance(value, PLAIN) else f"<{type(value).__qualname__}>"


def shown(value: Any) -> object:
    """Returns the value for a terminal, in the form that it has in JSON."""
    match value:
        case None | str() | int() | float():
            return value
        case list() | tuple():
            return [shown(one) for one in value]
        case dict():
            return {str(key): shown(one) for key, one in value.items()}
        case _:
            return plain(value)
