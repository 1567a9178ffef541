"""Crontab expressions: five fields, each a set of numbers held as the bits of an integer.

The syntax is that of crontab(5) and of Celery's `crontab`: `*`, numbers, lists, ranges (which may go on past
the end, as Celery's do: `22-4`), steps, names of months and days, and cron's nicknames. Day of month and day
of week must both match, as in Celery. Beyond these: days that are counted within the month (days.py), and
numbers that follow from the schedule's name (spread.py).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from services.kernel.stored_values import Unreadable
from services.scheduler.timing.days import DATE, MOST_WEEKS, WEEKDAY, Days
from services.scheduler.timing.spread import SPREAD, is_spread, spread_part

# Not taken from the calendar module, whose names follow the locale.
MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
DAY_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# In full, or by their first three letters.
MONTHS = {text: number for number, name in enumerate(MONTH_NAMES, 1) for text in (name, name[:3])}
DAYS = {text: number for number, name in enumerate(DAY_NAMES) for text in (name, name[:3])}
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# No more digits than Python makes a number of, and none too few for what the API takes.
DIGITS = r"\d{1,1000}"
PART = re.compile(
    rf"(?P<first>\*|[a-z]+|{DIGITS})(?:-(?P<last>[a-z]+|{DIGITS}))?(?:/(?P<step>{DIGITS}))?", re.ASCII
)
ALL_HOURS = (1 << 24) - 1
# 29 February falls on the same weekday again after 40 years at most, even across a year like 1900 or 2100.
SEARCHED_YEARS = 41


class CrontabInvalid(Unreadable):
    """An expression is not valid. The message says why."""


@dataclass(frozen=True)
class Field:
    """One of the five fields: its name, and the numbers and names that it may hold."""

    name: str
    least: int
    most: int
    names: dict[str, int]


FIELDS = MINUTE, HOUR, DAY, MONTH, WEEKDAYS = (
    Field("minute", 0, 59, {}),
    Field("hour", 0, 23, {}),
    Field("day of month", 1, 31, {}),
    Field("month", 1, 12, MONTHS),
    Field("day of week", 0, 7, DAYS),
)


class Crontab(NamedTuple):
    """A parsed expression. Bit n of a mask is set when the number n is in the field."""

    # As it was written, and with the numbers of this schedule in place of each `H`.
    expression: str
    resolved: str
    minutes: int
    hours: int
    months: int
    days: Days
    # Whether the minute is written with a `*`, a range or a step, rather than as plain numbers.
    recurs: bool

    @property
    def every_hour(self) -> bool:
        return self.hours == ALL_HOURS

    @property
    def in_both_passes(self) -> bool:
        """Whether a local time that comes twice is due twice, since the pattern recurs within an hour."""
        return self.recurs or self.every_hour

    def first_from(self, start: dt.datetime) -> dt.datetime | None:
        """Returns the first matching minute from `start` on, in naive local time; None if there is none."""
        if start.second or start.microsecond:
            start = start.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        time = self._time_from(start.hour, start.minute)
        if time is not None and self._day_matches(start.date()):
            return start.replace(hour=time[0], minute=time[1])
        day = self._day_after(start.date())
        if day is None:
            return None
        first = self._time_from(0, 0)
        assert first is not None  # both masks have a bit set
        return dt.datetime(day.year, day.month, day.day, *first)

    def _time_from(self, hour: int, minute: int) -> tuple[int, int] | None:
        """Returns the first matching (hour, minute) of a day, from the given one on."""
        if self.hours >> hour & 1:
            rest = self.minutes >> minute
            if rest:
                return hour, minute + _lowest_bit(rest)
        later = self.hours >> (hour + 1)
        if not later:
            return None
        return hour + 1 + _lowest_bit(later), _lowest_bit(self.minutes)

    def _day_matches(self, day: dt.date) -> bool:
        return bool(self.months >> day.month & 1 and self.days.of(day.year, day.month) >> day.day & 1)

    def _day_after(self, day: dt.date) -> dt.date | None:
        """Returns the first matching day after the given one; None if there is none."""
        year, month, after = day.year, day.month, day.day
        while year <= min(day.year + SEARCHED_YEARS, dt.MAXYEAR - 1):
            if self.months >> month & 1:
                rest = self.days.of(year, month) >> (after + 1)
                if rest:
                    return dt.date(year, month, after + 1 + _lowest_bit(rest))
            year, month, after = (year + 1, 1, 0) if month == 12 else (year, month + 1, 0)
        return None


def _lowest_bit(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


@lru_cache(maxsize=4000)
def parse_crontab(expression: str, name: str = "") -> Crontab:
    """Parses five fields or a nickname. Raises `CrontabInvalid`.

    `name`: the schedule's id, from which each `H` follows; without one, an `H` is not valid.
    """
    lowered = expression.strip().lower()
    if lowered.startswith("@") and lowered not in NICKNAMES:
        raise CrontabInvalid(f"is {lowered[:50]!r}, not one of {', '.join(NICKNAMES)}")
    parts = NICKNAMES.get(lowered, lowered).split()
    if len(parts) != len(FIELDS):
        raise CrontabInvalid(f"has {len(parts)} fields, it needs 5")
    resolved = expression
    if is_spread(lowered):
        if not name:
            raise CrontabInvalid("has an H, which follows from the name of a schedule, and there is none")
        parts = [_spread(text, field, name) for text, field in zip(parts, FIELDS, strict=True)]
        resolved = " ".join(parts)
    minute, hour, day, month, weekday = parts
    recurs = any(sign in minute for sign in "*-/")
    months = _mask(month.split(","), MONTH)
    crontab = Crontab(
        expression,
        resolved,
        _mask(minute.split(","), MINUTE),
        _mask(hour.split(","), HOUR),
        months,
        _days(day.split(","), weekday.split(",")),
        recurs,
    )
    if crontab.first_from(dt.datetime(2000, 1, 1)) is None:
        raise CrontabInvalid("never comes: no month in it has such a day")
    return crontab


def crontab_of(expression: str, name: str) -> Crontab:
    """Parses an expression of the schedule with that id. Equal ones without an `H` are parsed once."""
    return parse_crontab(expression, name if is_spread(expression) else "")


def _spread(text: str, field: Field, name: str) -> str:
    """Returns a field with the numbers of the schedule in place of each `H`."""
    # Of the days of a month those that each has.
    most = 28 if field is DAY else 6 if field is WEEKDAYS else field.most
    try:
        return ",".join(
            spread_part(match, name, field.name, field.least, most)
            if (match := SPREAD.fullmatch(part))
            else part
            for part in text.split(",")
        )
    except ValueError as error:
        raise CrontabInvalid(f"{error}") from None


def _days(dates: Sequence[str], weekdays: Sequence[str]) -> Days:
    from_end = nearest = counted = last = 0
    plain_dates, plain_weekdays = [], []
    for part in dates:
        match = DATE.fullmatch(part)
        if match is None:
            plain_dates.append(part)
        elif match["near"] is not None:
            nearest |= 1 << _number(match["near"], DAY)
        elif part == "lw":
            nearest |= 1
        else:
            before = int(match["before"] or 0)
            if before >= DAY.most:
                raise CrontabInvalid(f"has {part[:50]!r} as its {DAY.name}: L-1 to L-{DAY.most - 1}")
            from_end |= 1 << before
    for part in weekdays:
        match = WEEKDAY.fullmatch(part)
        if match is None:
            plain_weekdays.append(part)
            continue
        weekday, nth = _number(match["day"], WEEKDAYS) % 7, match["nth"]
        if nth is None:
            last |= 1 << weekday
        elif 1 <= int(nth) <= MOST_WEEKS:
            counted |= 1 << (7 * int(nth) + weekday)
        else:
            raise CrontabInvalid(f"has {part[:50]!r} as its {WEEKDAYS.name}: #1 to #{MOST_WEEKS}")
    mask = _mask(plain_weekdays, WEEKDAYS)
    # Sunday is 0 and 7.
    return Days(_mask(plain_dates, DAY), from_end, nearest, mask & 0b1111111 | mask >> 7, counted, last)


def _mask(parts: Sequence[str], field: Field) -> int:
    mask = 0
    for part in parts:
        match = PART.fullmatch(part)
        if match is None:
            raise CrontabInvalid(f"has {part[:50]!r} as its {field.name}")
        step = int(match["step"] or 1)
        if step == 0:
            raise CrontabInvalid(f"steps by 0 in its {field.name}")
        for number in _range(match, field)[::step]:
            mask |= 1 << number
    return mask


def _range(match: re.Match[str], field: Field) -> Sequence[int]:
    """Returns the numbers of a part in order; a step then takes every nth of them."""
    if match["first"] == "*":
        if match["last"]:
            raise CrontabInvalid(f"has {match[0]!r} as its {field.name}")
        # `*` as the day of week is 0 to 6: with 7, which is Sunday again, steps would be wrong.
        return range(field.least, (min(field.most, 6) if field.names is DAYS else field.most) + 1)
    first = _number(match["first"], field)
    # "5/10" means from 5 to the end in steps of 10, as in cron.
    open_end = field.most if match["step"] else first
    last = _number(match["last"], field) if match["last"] else open_end
    if first <= last:
        return range(first, last + 1)
    # A range past the end goes on from the beginning: "22-4", "fri-mon".
    end = min(field.most, 6) if field.names is DAYS else field.most
    return [*range(first, end + 1), *range(field.least, last + 1)]


def _number(text: str, field: Field) -> int:
    number = field.names.get(text)
    if number is None and text.isdecimal():
        number = int(text)
    if number is None or not field.least <= number <= field.most:
        raise CrontabInvalid(f"has {text[:50]!r} as its {field.name}, not {field.least} to {field.most}")
    return number
