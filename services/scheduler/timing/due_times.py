"""When a schedule is due: (timing, after) → the next due time. Pure. Times given and returned are in UTC.

Daylight saving concerns crontabs only, as the other timings don't use local time:

- A local time that the clock skips is due at the first instant after the gap.
- A local time that comes twice is due the first time only, if the minute is written as plain numbers. With a
  `*`, a range or a step as its minute, a crontab goes on through both passes.
- A crontab whose hour is `*` follows elapsed time instead: it is also due in the repeated hour, and makes up
  for nothing after a skipped one.
"""

from __future__ import annotations

import datetime as dt
import enum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.scheduler.timing.crontab import Crontab, parse_crontab
from services.scheduler.timing.solar import next_event
from services.scheduler.timing.stored import zone_of

MINUTE = dt.timedelta(minutes=1)


class CrontabTiming(NamedTuple):
    """Due at every minute whose local time matches."""

    crontab: Crontab
    zone: str


class IntervalTiming(NamedTuple):
    """Due at `anchor`, and then each time that `every` has passed."""

    every: dt.timedelta
    anchor: dt.datetime
    zone: str


class OnceTiming(NamedTuple):
    """Due at one moment."""

    at: dt.datetime
    zone: str


class SolarTiming(NamedTuple):
    """Due with the sun: `event` is one of solar.EVENTS; degrees, north and east positive."""

    event: str
    latitude: float
    longitude: float
    zone: str


Timing = CrontabTiming | IntervalTiming | OnceTiming | SolarTiming


def next_due(timing: Timing, after: dt.datetime) -> dt.datetime | None:
    """Returns the first due time after `after`; None when there is no more (or none before the year 9999)."""
    try:
        if isinstance(timing, CrontabTiming):
            return next_of_crontab(timing.crontab.resolved, timing.zone, after)
        if isinstance(timing, IntervalTiming):
            return next_of_interval(timing.every, timing.anchor, after)
        if isinstance(timing, SolarTiming):
            return next_event(timing.event, timing.latitude, timing.longitude, after)
    except OverflowError:
        return None
    return timing.at if timing.at > after else None


# Cached, as many schedules have the same crontab and are due at the same moment. The argument is the text and
# not the Crontab, because a text keeps its hash.
@lru_cache(maxsize=2000)
def next_of_crontab(expression: str, zone: str, after: dt.datetime) -> dt.datetime | None:
    """Returns the first due time of a crontab after `after`.

    Raises `Unreadable` when the crontab or the zone is not valid, and `OverflowError` beyond the year 9999.
    """
    crontab, found = parse_crontab(expression), zone_of(zone)
    if crontab.every_hour:
        return _by_elapsed_time(crontab, found, after)
    due = _by_wall_clock(crontab, found, after)
    if due is None or not crontab.recurs:
        return due
    # The same times, but for the ends of gaps, and also those of the second pass.
    again = _by_elapsed_time(crontab, found, after)
    return due if again is None else min(due, again)


def next_of_interval(every: dt.timedelta, anchor: dt.datetime, after: dt.datetime) -> dt.datetime:
    """Returns the first due time of an interval after `after`. Raises `OverflowError`."""
    if after < anchor:
        return anchor
    return anchor + ((after - anchor) // every + 1) * every


def _by_wall_clock(crontab: Crontab, zone: ZoneInfo, after: dt.datetime) -> dt.datetime | None:
    local = after.astimezone(zone).replace(tzinfo=None, fold=0)
    candidate = crontab.first_from(local)
    while candidate is not None:
        instant = _instant(candidate, zone)
        if instant > after:
            return instant
        candidate = crontab.first_from(candidate + MINUTE)
    return None


def _instant(local: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Returns the first instant of a local time, or the end of the gap that the local time falls into."""
    instant = local.replace(tzinfo=zone).astimezone(dt.UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # In a gap, fold=0 uses the offset before it, which gives an instant after the gap; fold=1 one before it.
    before = local.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    return _change_of_offset(zone, before, instant)


class ClockEffect(enum.Enum):
    """What a change of the clocks has to do with a due time of a crontab."""

    # It is the end of a gap, and stands for the local times in it that the clocks skipped.
    SKIPPED = "skipped"
    # Its local time comes twice, and this is the first of them; the second is not due.
    FIRST_ONLY = "first_only"
    # Its local time comes twice, and this is the second of them; the first was due, too.
    SECOND_PASS = "second_pass"


def clock_effect(timing: Timing, due: dt.datetime) -> ClockEffect | None:
    """Returns what a change of the clocks has to do with a due time of the timing; None: nothing."""
    if not isinstance(timing, CrontabTiming):
        return None
    crontab, local = timing.crontab, due.astimezone(zone_of(timing.zone))
    naive = local.replace(tzinfo=None, fold=0)
    if not crontab.every_hour and crontab.first_from(naive) != naive:
        return ClockEffect.SKIPPED
    if local.fold:
        return ClockEffect.SECOND_PASS
    comes_twice = local.replace(fold=1).utcoffset() != local.utcoffset()
    return ClockEffect.FIRST_ONLY if comes_twice and not crontab.in_both_passes else None


def _by_elapsed_time(crontab: Crontab, zone: ZoneInfo, after: dt.datetime) -> dt.datetime | None:
    # The first instant that may be due: a whole minute, later than `after`.
    start = after.replace(second=0, microsecond=0) + MINUTE
    while True:
        local = start.astimezone(zone).replace(tzinfo=None, fold=0)
        match = crontab.first_from(local)
        if match is None:
            return None
        instant = start + (match - local)
        if instant.astimezone(zone).replace(tzinfo=None) == match:
            return instant
        # The offset changes before that instant, and nothing matches before the change: go on from there.
        start = _change_of_offset(zone, start, instant)


def _change_of_offset(zone: ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """Returns the first instant, to the second, at which the zone's offset differs from that at `before`."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + dt.timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + dt.timedelta(seconds=high)
