"""Converts one entry of another beat to an entry of a manifest, with notes on what is not carried over."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from services.kernel.celery_message import RESERVED_HEADERS
from services.kernel.zones import known_zones
from services.scheduler.schedule.checks import LONGEST_SECONDS, LOWEST_PRIORITY
from services.scheduler.timing.durations import format_span
from services.scheduler.timing.stored import zone_of

CRONTAB_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
# The anchor, in local time, of intervals that Celery's `relative` aligns to days, hours or minutes.
ALIGNED = "2000-01-01T00:00:00"
KNOWN = (
    *("name", "task", "args", "kwargs", "schedule", "options", "enabled", "one_off", "start", "end"),
    *("description", "last_run_at", "total_run_count", "not_json"),
)
# Options of apply_async that a schedule can't have, and why.
OPTIONS = {
    "exchange": "a schedule names a queue, and the message goes straight to it",
    "routing_key": "a schedule names a queue, and the message goes straight to it",
    "serializer": "messages are sent as JSON",
    "compression": "messages are sent as they are",
    "countdown": "the task is sent at its due time; use jitter, or another timing",
    "eta": "the task is sent at its due time; use another timing",
    "retry": "publishing goes on until the broker has the message",
    "retry_policy": "publishing goes on until the broker has the message",
    "link": "a schedule sends one task; send a task that starts the chain",
    "link_error": "a schedule sends one task; send a task that starts the chain",
    "chain": "a schedule sends one task; send a task that starts the chain",
    "chord": "a schedule sends one task; send a task that starts the chain",
    "task_id": "each run has a task id of its own",
    "ignore_result": "is for the task's decorator to say",
    "delivery_mode": "messages are persistent",
}
# Where a message goes, for brokers of other kinds.
PLACES = ("exchange", "routing_key")
SECONDS_IN_OPTIONS = ("expires", "soft_time_limit", "time_limit")


class Weight(enum.IntEnum):
    """How much a note matters: ordered, what matters most first."""

    LOST = 1
    CHANGED = 2
    RENAMED = 3


class Note(NamedTuple):
    """A field of an entry that was not carried over, or not as it was; "" stands for the entry as a whole."""

    entry: str
    field: str
    reason: str
    weight: Weight


@dataclass(frozen=True, slots=True)
class NotJson:
    """Stands for a number that JSON does not have (NaN, Infinity), and that Python writes all the same."""

    name: str


class Notes:
    """The notes on one entry."""

    def __init__(self, entry: str) -> None:
        self._entry = entry
        self._found: list[Note] = []

    def __iter__(self) -> Iterator[Note]:
        return iter(self._found)

    def add(self, field: str, reason: str, weight: Weight = Weight.LOST) -> None:
        self._found.append(Note(self._entry, field[:200], reason[:1000], weight))


def manifest_entry(entry: dict[str, Any], queue: str, notes: Notes) -> dict[str, Any] | None:
    """Returns the entry of a manifest, without its id; None when the entry can't be carried over.

    `queue`: of entries that name an exchange or a routing key alone; empty if nobody said which.
    The values are checked later, when the entry is read as that of a manifest.
    """
    for name, reason in _mapping(entry, "not_json").items():
        notes.add("", f"is not carried over: its {name} can't be sent as JSON ({reason})")
        return None
    for name in [name for name in entry if name != "options"]:
        found = not_json_in(entry[name])
        if found is not None:
            notes.add("", f"is not carried over: its {name} has {found.name}, which is no number of JSON")
            return None
    options = _options(_mapping(entry, "options"), queue, notes)
    if options is None:
        return None
    timing = _timing(entry, notes)
    if timing is None:
        return None
    for name in entry.keys() - set(KNOWN):
        notes.add(name, "is not known here")
    values = {
        "description": entry.get("description"),
        "task": entry.get("task"),
        "args": entry.get("args"),
        "kwargs": entry.get("kwargs"),
        **options,
        **timing,
        "start": entry.get("start"),
        "end": entry.get("end"),
        "max_runs": 1 if entry.get("one_off") and "once" not in timing else None,
        **_enabled(entry),
    }
    _history(entry, notes)
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}


def not_json_in(value: Any) -> NotJson | None:
    """Returns the first number in the value that JSON does not have."""
    match value:
        case NotJson():
            return value
        case dict():
            parts: Iterable[Any] = value.values()
        case list():
            parts = value
        case _:
            return None
    return next((found for part in parts if (found := not_json_in(part)) is not None), None)


def _mapping(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _enabled(entry: dict[str, Any]) -> dict[str, Any]:
    # `paused` is set only for disabled entries: a schedule that exists already keeps its own pause.
    if entry.get("enabled") is False:
        return {"paused": True, "pause_note": "disabled in the beat that it was taken over from"}
    return {}


def _history(entry: dict[str, Any], notes: Notes) -> None:
    if entry.get("total_run_count"):
        told = f"is {entry['total_run_count']}; runs are counted anew"
        notes.add("total_run_count", told, Weight.RENAMED)


# ------------------------------------------------------------------------------------- timings


def _timing(entry: dict[str, Any], notes: Notes) -> dict[str, Any] | None:
    schedule = _mapping(entry, "schedule")
    zone = str(schedule.get("zone"))
    known = zone in known_zones()
    values: dict[str, Any] = {"zone": zone} if known else {}
    match schedule.get("kind"):
        case "crontab":
            if not known:
                reason = f"is {zone!r}, no zone of the IANA database: it runs in the scheduler's own zone"
                notes.add("schedule.zone", reason, Weight.CHANGED)
            # django-celery-beat takes "0, 15, 30", and leaves the blanks out when it runs.
            fields = ("".join(str(schedule.get(name, "*")).split()) for name in CRONTAB_FIELDS)
            return values | {"crontab": " ".join(fields)}
        case "interval":
            ran_at = entry.get("last_run_at")
            return values | _interval(schedule, zone if known else "UTC", ran_at, notes)
        case "solar":
            place = {name: schedule.get(name) for name in ("event", "latitude", "longitude")}
            return values | {"solar": place}
        case "clocked":
            return values | {"once": schedule.get("at")}
        case _:
            what = str(schedule.get("what") or schedule.get("kind"))[:300]
            notes.add("", f"is not carried over: there is no timing like its {what}")
            return None


def _interval(schedule: dict[str, Any], zone: str, ran_at: Any, notes: Notes) -> dict[str, Any]:
    """`ran_at`: when that beat ran it last; from then on it counts there, and so it does here."""
    every = schedule.get("seconds")
    if isinstance(every, int | float | Decimal) and not isinstance(every, bool) and 0 <= every < 1e12:
        every = format_span(float(every))
    if not schedule.get("relative"):
        return {"every": every} | _last_run(ran_at, notes)
    local = dt.datetime.fromisoformat(ALIGNED).replace(tzinfo=zone_of(zone))
    notes.add(
        "schedule.relative",
        "is carried as an anchor at local midnight: aligned by elapsed time, also when clocks change",
        Weight.CHANGED,
    )
    return {"every": every, "anchor": local.isoformat()}


def _last_run(ran_at: Any, notes: Notes) -> dict[str, Any]:
    """Returns the anchor of an interval that goes on from its last run; none if it has not run."""
    if not ran_at:
        return {}
    try:
        moment = dt.datetime.fromisoformat(str(ran_at))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        told = f"is {str(ran_at)[:100]!r}, no time with an offset: the interval counts from the import on"
        notes.add("last_run_at", told, Weight.CHANGED)
        return {}
    return {"anchor": moment.isoformat(timespec="milliseconds")}


# ------------------------------------------------------------------------------------- options


def _options(options: dict[str, Any], queue: str, notes: Notes) -> dict[str, Any] | None:
    """Returns None if nothing says to which queue the messages go."""
    found: dict[str, Any] = {}
    if not options.get("queue") and any(options.get(name) for name in PLACES):
        told = ", ".join(f"{name} {options[name]!r}" for name in PLACES if options.get(name))
        if not queue:
            notes.add(
                "",
                f"is not carried over: it has {told} and no queue, and a schedule names a queue; import again"
                " with default_queue, the queue that these lead to or the application's task_default_queue",
            )
            return None
        notes.add(
            "options.queue", f"is not told, but {told}: it gets {queue!r}, as asked for", Weight.CHANGED
        )
        options = {name: value for name, value in options.items() if name not in PLACES} | {"queue": queue}
    for name, value in options.items():
        if value is None:
            continue
        if (number := not_json_in(value)) is not None:
            notes.add(f"options.{name}", f"has {number.name}, which is no number of JSON")
        elif name == "queue":
            found["queue"] = value
        elif name == "priority":
            _priority(value, found, notes)
        elif name in SECONDS_IN_OPTIONS:
            _seconds(name, value, found, notes)
        elif name == "headers":
            _headers(value, found, notes)
        else:
            known = OPTIONS.get(name, "is no part of a schedule")
            shown = json.dumps(value, ensure_ascii=False, default=str)[:200]
            notes.add(f"options.{name}", f"is {shown}; {known}")
    return found


def _priority(value: Any, found: dict[str, Any], notes: Notes) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LOWEST_PRIORITY:
        found["priority"] = value
    else:
        notes.add(
            "options.priority", f"is {value!r}; a priority is 0 to {LOWEST_PRIORITY} here, and 0 is sent"
        )


def _seconds(name: str, value: Any, found: dict[str, Any], notes: Notes) -> None:
    if (
        isinstance(value, int | float | Decimal)
        and not isinstance(value, bool)
        and 0 < value <= LONGEST_SECONDS
    ):
        found[name] = value
    else:
        reason = "a schedule's is a number of seconds from the due time on, more than 0 and at most 10 years"
        notes.add(f"options.{name}", f"is {str(value)[:200]!r}; {reason}")


def _headers(value: Any, found: dict[str, Any], notes: Notes) -> None:
    if not isinstance(value, dict):
        notes.add("options.headers", "is no mapping")
        return
    headers = {name: each for name, each in value.items() if isinstance(each, str)}
    for name in value.keys() - headers.keys():
        notes.add(f"options.headers.{name}", "is no text; headers are texts here")
    for name in sorted(headers.keys() & RESERVED_HEADERS):
        del headers[name]
        notes.add(f"options.headers.{name}", "is a header that Celery's messages have of their own")
    found["headers"] = headers
