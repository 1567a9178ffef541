"""The checks of the values in a definition. Every fault is collected, with its field and an example.

Most checks return the checked value; those whose type allows None return it when the value is at fault.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import orjson

from services.kernel.broker_layout import not_a_queue
from services.kernel.celery_message import RESERVED_HEADERS
from services.kernel.validation import Faults
from services.kernel.zones import known_zones
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.timing.crontab import Crontab, CrontabInvalid, crontab_of
from services.scheduler.timing.plan import Bounds

LONGEST_ID = 200
ID = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{LONGEST_ID - 1}}}")
MOST_DESCRIPTION = 4000
# Of names that are not ours to give: queues. In bytes, as UTF-8.
LONGEST_QUEUE = 1024
LOWEST_PRIORITY = 9
MOST_CRONTAB = 1000
MOST_JSON = 256 * 1024
LONGEST_SECONDS = 10 * 365 * 86400
MOST_FAILURES = 1_000
# No text of this length is nested deeper than any of its readers can follow.
SHORT_JSON = 500
MOST_RUNS = 2**53
# The first and last times that Python and PostgreSQL can represent are refused: there they mean infinity, and
# in other languages "unset" (Go's zero time, .NET's MinValue). Times that are a day away from these ends can
# be converted to every time zone.
EARLIEST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)
LATEST = dt.datetime(9998, 12, 31, tzinfo=dt.UTC)
FOR_EVER = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
LABELS_EXAMPLE, HEADERS_EXAMPLE = '{"team": "growth"}', '{"tenant": "acme"}'
MOMENT_EXAMPLE = "2026-12-24T09:00:00Z"


def plain_id(found: str, faults: Faults, field: str) -> str:
    shown = f"is {found[:100]!r}" if found else "is not set"
    fault = f'{shown}; it has 1 to {LONGEST_ID} of a-z, 0-9, "-", "_", "." and begins with a letter or digit'
    faults.unless(ID.fullmatch(found) is not None, field, fault, "cleanup-cache-daily")
    return found


def schedule_id(name: str, faults: Faults, field: str = "name") -> str:
    """Returns the id in "schedules/{id}"."""
    collection, _, found = name.partition("/")
    sound = collection == "schedules" and ID.fullmatch(found) is not None
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    fault = (
        f'is {shown!r}, not "schedules/" and 1 to 200 of a-z, 0-9, "-", "_", ".", beginning with a-z or 0-9'
    )
    faults.unless(sound, field, fault, "schedules/cleanup-cache-daily")
    return found


def queue(name: str, faults: Faults, field: str) -> str:
    """Returns the bare name of the queue in "queues/{name}", whose characters must all be visible."""
    collection, slash, found = name.partition("/")
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    fault = f'is {shown!r}, not "queues/" and the name of a queue'
    if faults.unless(collection == "queues" and bool(slash), field, fault, "queues/ai_analysis"):
        queue_name(found, faults, field, "queues/ai_analysis")
    return found


def queue_name(found: str, faults: Faults, field: str, example: str) -> None:
    """Checks the bare name of a queue, as manifests and Celery have it."""
    if faults.name(field, found, example, most=LONGEST_QUEUE):
        size = len(found.encode())
        fault = f"has {size} bytes, at most {LONGEST_QUEUE} are allowed"
        faults.unless(size <= LONGEST_QUEUE, field, fault, example)
        what = not_a_queue(found)
        faults.unless(not what, field, f"is {found[:100]!r}, the name of {what}", example)


def zone(name: str, default: str, faults: Faults, field: str) -> str:
    known = not name or name in known_zones()
    faults.unless(known, field, f"is {name[:100]!r}, no zone of the IANA database", "Asia/Taipei")
    return name or default


def crontab(expression: str, schedule_id: str, faults: Faults, field: str) -> Crontab | None:
    if not faults.name(field, expression, "30 */6 * * *", most=MOST_CRONTAB, required=False):
        return None
    try:
        return crontab_of(expression, schedule_id)
    except CrontabInvalid as error:
        faults.add(field, f"{error}", "30 */6 * * *")
        return None


def moment(
    found: dt.datetime | None, faults: Faults, field: str, latest: dt.datetime = LATEST
) -> dt.datetime | None:
    """Returns the time if it is between EARLIEST and `latest`, else None.

    With FOR_EVER as `latest` (end times), every later time counts as FOR_EVER.
    """
    if found is None:
        return None
    found = found if latest is not FOR_EVER else min(found, FOR_EVER)
    fault = f"is {found.isoformat()}, not between {EARLIEST.date()} and {latest.date()}"
    sound = faults.unless(EARLIEST <= found <= latest, field, fault, MOMENT_EXAMPLE)
    return found if sound else None


def degrees(value: float | None, most: int, faults: Faults, field: str, example: str) -> float | None:
    """Returns the latitude or longitude if it is set and between -`most` and `most`, else None."""
    sound = value is not None and math.isfinite(value) and -most <= value <= most
    faults.unless(sound, field, f"must be set, {-most} to {most} degrees", example)
    return value if sound else None


def bounds(found: Bounds, faults: Faults) -> None:
    in_order = found.start is None or found.end is None or found.start <= found.end
    faults.unless(in_order, "end_time", "is before the start", "2027-01-01T00:00:00Z")
    sound = found.max_runs is None or 1 <= found.max_runs <= MOST_RUNS
    fault = f"is {found.max_runs}, it must be 1 to {MOST_RUNS}, or unset"
    faults.unless(sound, "max_runs", fault, "12")


def jitter(found: dt.timedelta, expires: float | None, faults: Faults) -> None:
    """Checks that jitter is less than the time to expire: that counts from the due time, without jitter."""
    in_time = expires is None or not found or found.total_seconds() < expires
    faults.unless(in_time, "jitter", "must be less than the task's expires", "30s")


def description(text: str, faults: Faults) -> str:
    example = "new questions become vectors"
    faults.text("description", text, example, most=MOST_DESCRIPTION, required=False)
    return text


def pause_note(text: str, faults: Faults, field: str) -> str:
    faults.text(field, text, "until the move is over", most=1000, required=False)
    return text


def comes_due(definition: Definition, now: dt.datetime, faults: Faults, field: str) -> None:
    """Refuses a schedule that is never due: a new one like this is a mistake."""
    comes = definition.plan.next_due(now) is not None
    fault = "is never due: nothing of it lies between now (or start_time) and end_time"
    faults.unless(comes, f"{field}.timing", fault, '{"crontab": {"expression": "0 3 * * *"}}')


def failures_in_a_row(found: int | None, faults: Faults, field: str) -> int | None:
    sound = found is None or 1 <= found <= MOST_FAILURES
    faults.unless(sound, field, f"is {found}, it must be 1 to {MOST_FAILURES}, or unset", "3")
    return found


def task(found: Task, faults: Faults, field: str) -> Task:
    """Checks a task, except for the types of its values: its source has converted them already."""
    faults.name(f"{field}.task_name", found.name, "rebuild_chat_vectors", most=255)
    queue_name(found.queue, faults, f"{field}.queue", "ai_analysis")
    _json(found.args_json, list, "a JSON array", '["daily", 7]', faults, f"{field}.args_json")
    example = '{"min_length": 5, "user_role": "user"}'
    _json(found.kwargs_json, dict, "a JSON object", example, faults, f"{field}.kwargs_json")
    in_range = 0 <= found.priority <= LOWEST_PRIORITY
    fault = f"is {found.priority}, it must be 0 to {LOWEST_PRIORITY}"
    faults.unless(in_range, f"{field}.priority", fault, "3")
    for name in ("expires", "soft_time_limit", "time_limit"):
        seconds = getattr(found, name)
        sound = seconds is None or 0 < seconds <= LONGEST_SECONDS
        faults.unless(sound, f"{field}.{name}", "must be more than 0 and at most 10 years", "3600s")
    limits_fit = not (
        found.soft_time_limit and found.time_limit and found.soft_time_limit >= found.time_limit
    )
    faults.unless(limits_fit, f"{field}.soft_time_limit", "must be less than time_limit", "600s")
    strings(found.headers, faults, f"{field}.headers", most=50, example=HEADERS_EXAMPLE)
    for name in sorted(found.headers.keys() & RESERVED_HEADERS):
        fault = "is a header that Celery's messages have of their own"
        faults.add(f"{field}.headers.{name}", fault, HEADERS_EXAMPLE)
    return found


def strings(found: Mapping[str, str], faults: Faults, field: str, *, most: int, example: str) -> None:
    """Checks a map of short strings: labels, headers."""
    faults.unless(len(found) <= most, field, f"has {len(found)} entries, at most {most}", example)
    for name, value in list(found.items())[:most]:
        own = Faults()
        if own.name(field, name, example, most=100):
            faults.text(f"{field}.{name}", value, example, most=1000, required=False)
        for fault in own:
            faults.add(field, f"has a name that {fault.fault}", example)


def labels(found: Mapping[str, str], faults: Faults, field: str) -> dict[str, str]:
    strings(found, faults, field, most=64, example=LABELS_EXAMPLE)
    for name in found:
        # A filter by label, "name=value", is split at its first "=".
        faults.unless(
            "=" not in name, field, f'has the name {name[:100]!r}, with a "=" in it', LABELS_EXAMPLE
        )
    return dict(found)


def label(text: str, faults: Faults, field: str) -> tuple[str, str]:
    """Returns name and value of a label as filters name it ("team=growth")."""
    name, equals, value = text.partition("=")
    fault = f"is {text[:100]!r}, not name=value"
    faults.unless(bool(name) and bool(equals), field, fault, "team=growth")
    faults.text(field, text, "team=growth", most=1101, required=False)
    return name, value


def _json(text: str, kind: type, what: str, example: str, faults: Faults, field: str) -> None:
    if not faults.unless(len(text) <= MOST_JSON, field, "has more than 262144 characters", example):
        return
    try:
        # What orjson reads of a short text without escapes, the others read, too, and write.
        plain = len(text) <= SHORT_JSON and "\\u" not in text
        value = orjson.loads(text) if plain else _read_by_all(text)
    except (ValueError, RecursionError) as error:
        faults.add(field, f"is not JSON ({str(error)[:100]})", example)
        return
    holds_nul = "\0" in text
    faults.unless(isinstance(value, kind) and not holds_nul, field, f"is not {what}", example)


def _read_by_all(text: str) -> Any:
    """Reads a JSON text by all that will read it, and writes it. Raises `ValueError` and `RecursionError`."""
    value = json.loads(text, parse_constant=_no_constant)
    # Refuses lone surrogates: they have no UTF-8 form, so PostgreSQL and the workers can't hold them.
    json.dumps(value, ensure_ascii=False).encode()
    # Messages are made with orjson, which refuses numbers that don't fit a double, such as 1e999.
    orjson.loads(text.encode())
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
