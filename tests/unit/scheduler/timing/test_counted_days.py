"""Days that are counted within the month: against cronsim, and against the words of the rule."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable

import pytest
from cronsim import CronSim

from services.scheduler.timing.crontab import CrontabInvalid, parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, next_due

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
FRIDAY, SATURDAY, SUNDAY = 4, 5, 6


def due_days(days: str, count: int, zone: str = "UTC") -> list[dt.date]:
    """The first days on which `0 0` of these fields (day of month, month, day of week) is due."""
    timing, found = CrontabTiming(parse_crontab(f"0 0 {days}"), zone), [START - dt.timedelta(seconds=1)]
    for _ in range(count):
        due = next_due(timing, found[-1])
        assert due is not None
        found.append(due)
    return [due.date() for due in found[1:]]


@pytest.mark.parametrize(
    "days",
    [
        *("L * *", "LW * *", "15,L * *", "1-5,LW 2,3 *", "L 2 *"),
        *("* * 5L", "* * 0L", "* * 7L", "* * 5#1", "* * 1#2,3#4", "* * 6#5", "* 2 4#4", "* * 1,5L"),
    ],
)
def test_counted_days_are_those_of_cronsim(days: str) -> None:
    theirs = CronSim(f"0 0 {days}", START - dt.timedelta(days=1))
    assert due_days(days, 300) == [next(theirs).date() for _ in range(300)]


def working_days(year: int, month: int) -> list[int]:
    _, length = calendar.monthrange(year, month)
    return [day for day in range(1, length + 1) if dt.date(year, month, day).weekday() < SATURDAY]


def nearest(number: int) -> Callable[[int, int], list[int]]:
    """The rule in words: of the working days of the month, the one that is nearest. Two are never as near."""

    def days(year: int, month: int) -> list[int]:
        if number > calendar.monthrange(year, month)[1]:
            return []
        return [min(working_days(year, month), key=lambda day: abs(day - number))]

    return days


def before_the_end(number: int) -> Callable[[int, int], list[int]]:
    def days(year: int, month: int) -> list[int]:
        day = calendar.monthrange(year, month)[1] - number
        return [day] if day > 0 else []

    return days


@pytest.mark.parametrize(
    ("days", "rule"),
    [
        *((f"{number}W * *", nearest(number)) for number in (1, 2, 15, 28, 29, 30, 31)),
        *((f"L-{number} * *", before_the_end(number)) for number in (1, 3, 28, 30)),
        ("LW * *", lambda year, month: working_days(year, month)[-1:]),
        ("15w,l * *", lambda year, month: [*nearest(15)(year, month), *before_the_end(0)(year, month)]),
        # Both day fields must match, as ever: the 13th, if it is the second Friday.
        (
            "13 * fri#2",
            lambda year, month: [13] if dt.date(year, month, 13).weekday() == FRIDAY else [],
        ),
        # The last day, if it is a Sunday.
        (
            "L * sun",
            lambda year, month: [
                day for day in before_the_end(0)(year, month) if dt.date(year, month, day).weekday() == SUNDAY
            ],
        ),
    ],
)
def test_counted_days_are_those_of_the_rule(days: str, rule: Callable[[int, int], list[int]]) -> None:
    expected = [
        dt.date(year, month, day)
        for year in range(2024, 2044)
        for month in range(1, 13)
        for day in sorted(rule(year, month))
    ]
    assert due_days(days, len(expected)) == expected


def test_a_counted_day_is_at_its_local_time_also_where_the_clocks_change_on_it() -> None:
    # New York, 8 March and 1 November 2026: the second Sunday of March and the first of November.
    timing = CrontabTiming(parse_crontab("30 2 * 3 sun#2"), "America/New_York")
    due = next_due(timing, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert due == dt.datetime(2026, 3, 8, 7, tzinfo=dt.UTC)  # 03:00, the end of the gap
    timing = CrontabTiming(parse_crontab("30 1 * 11 sun#1"), "America/New_York")
    due = next_due(timing, dt.datetime(2026, 10, 1, tzinfo=dt.UTC))
    assert due == dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC)
    assert next_due(timing, due) == dt.datetime(2027, 11, 7, 5, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("0 0 * * L", "has 'l' as its day of week"),
        ("0 0 32W * *", "has '32' as its day of month"),
        ("0 0 L-31 * *", "has 'l-31' as its day of month: L-1 to L-30"),
        ("0 0 L/2 * *", "has 'l' as its day of month"),
        ("0 0 1-5W * *", "has '1-5w' as its day of month"),
        ("0 0 * * 5#6", "has '5#6' as its day of week: #1 to #5"),
        ("0 0 * * 5#0", "has '5#0' as its day of week: #1 to #5"),
        ("0 0 * * 8#1", "has '8' as its day of week"),
        ("0 0 * * foo#1", "has 'foo' as its day of week"),
        ("0 0 5#1 * *", "has '5#1' as its day of month"),
        ("L 0 * * *", "has 'l' as its minute"),
        ("0 0 * L *", "has 'l' as its month"),
        ("0 0 31W 2 *", "never comes"),
        ("0 0 1 2 sun#2", "never comes"),
    ],
)
def test_what_is_no_counted_day_is_told(expression: str, fault: str) -> None:
    with pytest.raises(CrontabInvalid) as told:
        parse_crontab(expression)
    assert str(told.value).startswith(fault)
