"""Schedules as rows, to be copied into the scheduler's table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TypeAlias
from zoneinfo import ZoneInfo

from benchmarks.scheduler.crontabs import crontabs
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, next_due

Row: TypeAlias = tuple[object, ...]

ZONE = ZoneInfo("Asia/Taipei")
QUEUE, TASK = "bench", "bench.count"
# fmt: off
COLUMNS = (
    "id", "task", "args_json", "kwargs_json", "queue", "priority", "headers", "crontab", "interval_seconds",
    "anchor", "time_zone", "description", "labels", "paused", "pause_note", "next_run_at",
)
# fmt: on
ANCHOR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def due_from(first: dt.datetime, count: int, each: dt.timedelta) -> Iterator[Row]:
    """Due one `each` after the other; every second one is a crontab, the others are intervals.

    None comes again while the benchmark lasts.
    """
    hour = first.astimezone(ZONE).hour
    for number in range(count):
        crontab = f"{number % 60} {(hour + 2 + number // 60 % 20) % 24} * * *" if number % 2 else None
        yield _row(number, crontab, first + number * each)


def due_at_minutes(count: int, due: int, minutes: Sequence[dt.datetime]) -> Iterator[Row]:
    """Crontabs, of which `due` are due at each of the full minutes, and the others not soon; all of them are
    next due when the product's own reckoning says.
    """
    now = dt.datetime.now(dt.UTC)
    local = [minute.astimezone(ZONE) for minute in minutes]
    for number, crontab in enumerate(crontabs(count, due, local)):
        yield _row(number, crontab, next_due(CrontabTiming(parse_crontab(crontab), ZONE.key), now))


def _row(number: int, crontab: str | None, due: dt.datetime | None) -> Row:
    """All differ in their arguments."""
    interval, anchor = (None, None) if crontab else (3600, ANCHOR)
    timing = (crontab, interval, anchor, ZONE.key)
    arguments = ("[]", f'{{"number": {number}}}')
    return (f"s-{number}", TASK, *arguments, QUEUE, 0, "{}", *timing, "", "{}", False, "", due)
