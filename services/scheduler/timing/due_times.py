"""When a schedule is due: (timing, after) → the next due time. Pure; times are UTC at both ends.

Daylight saving, for crontabs: a time that the clock skips is due at the first instant after
the gap; one that comes twice is due the first time. A crontab whose hour is `*` follows elapsed time: it
goes on through the repeated hour, and has nothing to make up for after a skipped one. The other timings know
no local time.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.scheduler.timing.crontab import Crontab, parse_crontab
from services.scheduler.timing.solar import next_event
from services.scheduler.timing.stored import zone_of

MINUTE = dt.timedelta(minutes=1)


class CrontabTiming(NamedTuple):
    """Due at the minutes whose local time matches."""

    crontab: Crontab
    zone: str


class IntervalTiming(NamedTuple):
    """Due at `anchor`, and each `every` after it."""

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
    """The first due time after `after`; None when there is none any more (or none before the year 9999)."""
    try:
        if isinstance(timing, CrontabTiming):
            return next_of_crontab(timing.crontab.expression, timing.zone, after)
        if isinstance(timing, IntervalTiming):
            return next_of_interval(timing.every, timing.anchor, after)
        if isinstance(timing, SolarTiming):
            return next_event(timing.event, timing.latitude, timing.longitude, after)
    except OverflowError:
        return None
    return timing.at if timing.at > after else None


# Many schedules have one crontab, and all of them are due at one moment. By its text, whose hash is known.
@lru_cache(maxsize=2000)
def next_of_crontab(expression: str, zone: str, after: dt.datetime) -> dt.datetime | None:
    """The first due time of a crontab after `after`.

    Raises `Unreadable` if crontab or zone is none, and `OverflowError` beyond the year 9999.
    """
    crontab, found = parse_crontab(expression), zone_of(zone)
    if crontab.every_hour:
        return _by_elapsed_time(crontab, found, after)
    return _by_wall_clock(crontab, found, after)


def next_of_interval(every: dt.timedelta, anchor: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The first due time of an interval after `after`. Raises `OverflowError`."""
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
    """The local time's first instant, or the end of the gap that it falls into."""
    instant = local.replace(tzinfo=zone).astimezone(dt.UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # In a gap, fold=0 reads the time by the offset before it, and so lands after it; fold=1 before it.
    before = local.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
    return _change_of_offset(zone, before, instant)


def _by_elapsed_time(crontab: Crontab, zone: ZoneInfo, after: dt.datetime) -> dt.datetime | None:
    # The first instant that counts: strictly after, at a whole minute.
    start = after.replace(second=0, microsecond=0) + MINUTE
    while True:
        local = start.astimezone(zone).replace(tzinfo=None, fold=0)
        match = crontab.first_from(local)
        if match is None:
            return None
        instant = start + (match - local)
        if instant.astimezone(zone).replace(tzinfo=None) == match:
            return instant
        # The offset changes on the way there, and nothing matches before it does: go on from the change.
        start = _change_of_offset(zone, start, instant)


def _change_of_offset(zone: ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The first instant, to the second, at which the zone has another offset than at `before`."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + dt.timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + dt.timedelta(seconds=high)
