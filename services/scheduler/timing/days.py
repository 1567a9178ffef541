"""Which days of a month a crontab means: dates, weekdays, and days that are counted within the month.

`L`, `W` and `#` are those of Quartz's CronExpression, which cronsim and croniter share in part.
"""

from __future__ import annotations

import calendar
import re
from functools import lru_cache
from typing import NamedTuple

DIGITS = r"\d{1,4}"
DATE = re.compile(rf"l(?:-(?P<before>{DIGITS}))?|lw|(?P<near>{DIGITS})w", re.ASCII)
WEEKDAY = re.compile(rf"(?P<day>[a-z]+|{DIGITS})(?:l|#(?P<nth>{DIGITS}))", re.ASCII)
SATURDAY, SUNDAY = 6, 0
# The day of a month to which the nearest working day is looked for, for `LW`.
LAST = 0
MOST_WEEKS = 5


class Days(NamedTuple):
    """The days of an expression: those of its day of month that are also of its day of week.

    Each field is a mask; weekdays count from Sunday, which is 0.

    dates: bit n for the day n of each month.
    from_end: bit n for the day that is n days before the last one.
    nearest: bit n for the working day (Monday to Friday) nearest to day n, within its month; bit 0 for the
    last working day.
    weekdays: bit n for the weekday n.
    counted: bit 7k + n for the k-th weekday n of a month.
    last: bit n for the last weekday n of a month.
    """

    dates: int = 0
    from_end: int = 0
    nearest: int = 0
    weekdays: int = 0
    counted: int = 0
    last: int = 0

    def of(self, year: int, month: int) -> int:
        """Returns the days of that month as a mask: bit n for the day n."""
        return _days_of(self, year, month)


@lru_cache(maxsize=10_000)
def _days_of(days: Days, year: int, month: int) -> int:
    # monthrange counts Monday as 0; our weekday 0 is Sunday.
    first, length = calendar.monthrange(year, month)
    weekday = [(first + day) % 7 for day in range(length + 1)]
    found = 0
    for day in range(1, length + 1):
        week, left = (day - 1) // 7 + 1, length - day
        of_month = days.dates >> day & 1 or days.from_end >> left & 1
        of_week = (
            days.weekdays >> weekday[day] & 1
            or days.counted >> (7 * week + weekday[day]) & 1
            or (left < 7 and days.last >> weekday[day] & 1)
        )
        if of_week and (of_month or _is_nearest(days.nearest, day, length, weekday)):
            found |= 1 << day
    return found


def _is_nearest(nearest: int, day: int, length: int, weekday: list[int]) -> bool:
    return any(
        nearest >> number & 1 and _working_day(number or length, length, weekday) == day
        for number in range(length + 1 if nearest else 0)
    )


def _working_day(day: int, length: int, weekday: list[int]) -> int:
    """Returns the working day that is nearest to the day, without leaving the month."""
    if weekday[day] == SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday[day] == SUNDAY:
        return day + 1 if day < length else day - 2
    return day
