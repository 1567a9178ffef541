"""Reads definitions of schedules: the limits and rules of every field, for all sources of definitions.

1. The source, a message of the contract or an entry of a manifest, fills a `Draft` with its values, converted
   to Python but not checked. It collects the faults of values that it can't convert.
2. `definition_from` checks the draft and returns the definition; `changed` does so for some fields of an
   existing one. Checks use the contract's names of fields; faults are collected under the names of the
   `Source`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeVar

from services.kernel.validation import Faults
from services.scheduler.schedule import checks
from services.scheduler.schedule.definition import NEVER, Definition, Overlap, Task
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming, Timing
from services.scheduler.timing.durations import format_span
from services.scheduler.timing.plan import NO_TIME, Bounds, Misfire, MisfireAction

Value = TypeVar("Value")
TimingKind = Literal["crontab", "interval", "once", "solar"]

# The fields of the contract that decide when a schedule is due. A preview reads only these.
PLANNED = ("start_time", "end_time", "max_runs", "jitter", "misfire_policy", "timing")
# The fields that an update may name. Pausing and resuming have methods of their own.
CHANGEABLE = (
    "task",
    "description",
    "labels",
    *PLANNED,
    "overlap_policy",
    "resend_lost",
    "pause_after_failures",
)
FIELDS = (*CHANGEABLE, "paused")
NO_TASK = Task("")


class Limits(NamedTuple):
    """The limits of a length of time, in seconds."""

    least: int
    most: int
    example: str


EVERY = Limits(1, 3660 * 86400, "30s")
WINDOW = Limits(1, 366 * 86400, "7200s")
JITTER = Limits(0, 86400, "30s")
MILLISECOND = Decimal("0.001")


class Draft(NamedTuple):
    """The values of a schedule as a source has them, before any rule is applied.

    Lengths of time are in seconds, moments have a UTC offset. None: not set, or already collected as a fault.
    """

    id: str = ""
    task: Task = NO_TASK
    kind: TimingKind | None = None
    zone: str = ""
    crontab: str = ""
    every: Decimal | None = None
    anchor: dt.datetime | None = None
    once: dt.datetime | None = None
    event: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    max_runs: int | None = None
    jitter: Decimal | None = None
    misfire: MisfireAction | None = None
    misfire_window: Decimal | None = None
    overlap: Overlap | None = None
    resend_lost: bool = False
    pause_after_failures: int | None = None
    description: str = ""
    labels: Mapping[str, str] = MappingProxyType({})
    paused: bool = False
    pause_note: str = ""


class Source(NamedTuple):
    """Where a definition is read from, and where its faults are collected.

    `place` is the path of the definition in the source ("schedules[3]"). `names` maps the contract's names of
    fields to the source's, where they differ; a name also holds for the fields within. `zone` is the time
    zone of schedules that name none. `now` is the time from which an interval without an anchor counts.
    """

    place: str
    zone: str
    now: dt.datetime
    faults: Faults
    names: Mapping[str, str] = MappingProxyType({})

    def at(self, field: str) -> str:
        """Returns the path in the source of a field of the contract."""
        around = [each for each in self.names if f"{field}.".startswith(f"{each}.")]
        known = max(around, key=len, default=None)
        name = field if known is None else self.names[known] + field.removeprefix(known)
        return ".".join(part for part in (self.place, name.lstrip(".")) if part)


class _FaultsIn(Faults):
    """Collects faults under the source's names of fields, except for fields that the source couldn't read."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._unread = [fault.field for fault in source.faults]

    def add(self, field: str, fault: str, example: str) -> None:
        name, place = self._source.at(field), self._source.place
        if not any(name == each or (each != place and name.startswith(f"{each}.")) for each in self._unread):
            self._source.faults.add(name, fault, example)


def definition_from(draft: Draft, source: Source) -> Definition | None:
    """Returns the definition of a draft; None, with the faults collected, when it is not sound."""
    found = changed(Definition(draft.id, NO_TASK, NEVER), draft, FIELDS, source)
    return None if source.faults else found


def changed(current: Definition, draft: Draft, fields: Collection[str], source: Source) -> Definition:
    """Returns `current` with the named fields of the contract taken from the draft.

    The result must not be used if there are faults.
    """
    own = _FaultsIn(source)

    def read(field: str, part: Callable[[], Value], otherwise: Value) -> Value:
        return part() if field in fields else otherwise

    before = current.bounds
    bounds = Bounds(
        read("start_time", lambda: checks.moment(draft.start, own, "start_time"), before.start),
        read("end_time", lambda: checks.moment(draft.end, own, "end_time", checks.FOR_EVER), before.end),
        read("max_runs", lambda: draft.max_runs, before.max_runs),
    )
    checks.bounds(bounds, own)
    task = read("task", lambda: checks.task(draft.task, own, "task"), current.task)
    timing = read("timing", lambda: _timing(draft, bounds.start, source, own), None) or current.timing
    result = dataclasses.replace(
        current,
        task=task,
        timing=settled(timing, current.timing, names_anchor=draft.anchor is not None),
        description=read(
            "description", lambda: checks.description(draft.description, own), current.description
        ),
        labels=read("labels", lambda: checks.labels(draft.labels, own, "labels"), current.labels),
        paused=read("paused", lambda: draft.paused, current.paused),
        pause_note=read("paused", lambda: _pause_note(draft, own), current.pause_note),
        bounds=bounds,
        jitter=read("jitter", lambda: _span(draft.jitter, JITTER, own, "jitter") or NO_TIME, current.jitter),
        misfire=read("misfire_policy", lambda: _misfire(draft, own), current.misfire),
        overlap=read("overlap_policy", lambda: draft.overlap or Overlap.ALLOW, current.overlap),
        resend_lost=read("resend_lost", lambda: draft.resend_lost, current.resend_lost),
        pause_after_failures=read(
            "pause_after_failures",
            lambda: checks.failures_in_a_row(draft.pause_after_failures, own, "pause_after_failures"),
            current.pause_after_failures,
        ),
    )
    checks.jitter(result.jitter, task.expires, own)
    return result


def settled(wanted: Timing, current: Timing, *, names_anchor: bool) -> Timing:
    """Returns the new timing of a schedule whose timing is `current`.

    An interval of the same length and zone that names no anchor keeps the current anchor, so that the same
    request, made twice, changes nothing the second time.
    """
    if names_anchor or not isinstance(wanted, IntervalTiming) or not isinstance(current, IntervalTiming):
        return wanted
    return current if (wanted.every, wanted.zone) == (current.every, current.zone) else wanted


def _timing(draft: Draft, start: dt.datetime | None, source: Source, faults: Faults) -> Timing | None:
    """Returns the timing; None when it is not sound. `start`: the schedule's start time, if it has one."""
    zone = checks.zone(draft.zone, source.zone, faults, "timing.time_zone")
    match draft.kind:
        case "crontab":
            crontab = checks.crontab(draft.crontab, draft.id, faults, "timing.crontab.expression")
            return CrontabTiming(crontab, zone) if crontab else None
        case "interval":
            _set(draft.every, EVERY.example, faults, "timing.interval.every")
            every = _span(draft.every, EVERY, faults, "timing.interval.every")
            anchor = checks.moment(draft.anchor, faults, "timing.interval.anchor")
            return IntervalTiming(every, anchor or start or source.now + every, zone) if every else None
        case "once":
            _set(draft.once, checks.MOMENT_EXAMPLE, faults, "timing.once.at")
            at = checks.moment(draft.once, faults, "timing.once.at")
            return OnceTiming(at, zone) if at else None
        case "solar":
            return _solar(draft, zone, faults)
        case None:
            example = '{"crontab": {"expression": "0 3 * * *"}}'
            faults.add("timing", "has no crontab, interval, once or solar", example)
            return None


def _solar(draft: Draft, zone: str, faults: Faults) -> SolarTiming | None:
    _set(draft.event, "sunrise", faults, "timing.solar.event")
    latitude = checks.degrees(draft.latitude, 90, faults, "timing.solar.place.latitude", "25.03")
    longitude = checks.degrees(draft.longitude, 180, faults, "timing.solar.place.longitude", "121.56")
    if draft.event is None or latitude is None or longitude is None:
        return None
    return SolarTiming(draft.event, latitude, longitude, zone)


def _misfire(draft: Draft, faults: Faults) -> Misfire:
    usual, field = Misfire(), "misfire_policy.window"
    action = draft.misfire or usual.action
    sound = action is not MisfireAction.SKIP or draft.misfire_window is None
    faults.unless(sound, field, "must be unset: what skips makes up for nothing", "unset")
    return Misfire(action, _span(draft.misfire_window, WINDOW, faults, field) or usual.window)


def _pause_note(draft: Draft, faults: Faults) -> str:
    note = checks.pause_note(draft.pause_note, faults, "pause_note")
    return note if draft.paused else ""


def _set(value: object, example: str, faults: Faults, field: str) -> None:
    faults.unless(value is not None, field, "is not set", example)


def _span(seconds: Decimal | None, limits: Limits, faults: Faults, field: str) -> dt.timedelta | None:
    """Returns a length of time; None when it is not set, or not within its limits."""
    if seconds is None:
        return None
    # The limits are checked first, because Decimal can't compute the remainder of a number of thirty digits.
    sound = limits.least <= seconds <= limits.most and seconds % MILLISECOND == 0
    fault = f"must be whole milliseconds, from {format_span(limits.least)} to {format_span(limits.most)}"
    faults.unless(sound, field, fault, limits.example)
    return dt.timedelta(milliseconds=int(seconds * 1000)) if sound else None
