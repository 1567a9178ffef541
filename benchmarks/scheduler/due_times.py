"""Due times of crontabs a second, on one core, beside Celery's own crontab."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from celery import Celery
from celery.schedules import crontab as celery_crontab

from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, next_due

ZONE = "America/New_York"
# Minute, hour, day of month, month, day of week.
PATTERNS = (
    "* * * * *",
    "*/15 * * * *",
    "30 */6 * * *",
    "30 3 * * *",
    "*/20 8-17 * * mon-fri",
    "0 9 1 * *",
    "5 4 * * sun",
    "0 0 1 1 *",
)


def ours(count: int) -> float:
    timings = [CrontabTiming(parse_crontab(pattern), ZONE) for pattern in PATTERNS]
    # Each moment is another: nothing comes out of the cache.
    moments = _moments(count // len(PATTERNS))
    return _rate(lambda: [next_due(timing, moment) for moment in moments for timing in timings])


def celerys(count: int) -> float:
    app, zone = Celery(set_as_current=False, changes={"timezone": ZONE}), ZoneInfo(ZONE)
    now = [dt.datetime.now(zone)]
    schedules = []
    for pattern in PATTERNS:
        minute, hour, day, month, weekday = pattern.split()
        schedules.append(celery_crontab(minute, hour, weekday, day, month, app=app, nowfun=lambda: now[0]))
    moments = [moment.astimezone(zone) for moment in _moments(count // len(PATTERNS))]

    def remaining() -> list[dt.timedelta]:
        found = []
        for moment in moments:
            now[0] = moment
            found += [schedule.remaining_estimate(moment) for schedule in schedules]
        return found

    return _rate(remaining)


def _moments(count: int) -> list[dt.datetime]:
    start, chance = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), random.Random(7)
    return [start + dt.timedelta(milliseconds=chance.randrange(10**11)) for _ in range(count)]


def _rate(compute: Callable[[], list[dt.datetime | None]] | Callable[[], list[dt.timedelta]]) -> float:
    start = time.process_time()
    computed = compute()
    return len(computed) / (time.process_time() - start)
