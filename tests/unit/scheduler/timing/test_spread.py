"""`H`: numbers that follow from the name of the schedule."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from services.scheduler.timing.crontab import CrontabInvalid, crontab_of, parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, next_due

NAMES = [f"report-{number}" for number in range(2_000)]


def numbers(mask: int) -> list[int]:
    return [number for number in range(mask.bit_length()) if mask >> number & 1]


def test_the_numbers_of_a_name_are_written_in_stone() -> None:
    """A release that computed others would move every schedule that has an H."""
    assert crontab_of("H H H H H", "nightly").resolved == "49 19 28 6 4"
    assert crontab_of("H/15 H(0-5) * * *", "nightly").resolved == "4-59/15 1 * * *"
    assert crontab_of("H(0-29)/10 * * * *", "weekly").resolved == "0-29/10 * * * *"


def test_many_names_are_spread_over_the_whole_range() -> None:
    minutes = Counter(numbers(crontab_of("H H * * *", name).minutes)[0] for name in NAMES)
    hours = Counter(numbers(crontab_of("H H * * *", name).hours)[0] for name in NAMES)
    assert set(minutes) == set(range(60)) and max(minutes.values()) < 3 * len(NAMES) / 60
    assert set(hours) == set(range(24)) and max(hours.values()) < 2 * len(NAMES) / 24
    # Minute and hour do not go together: of 1,440 pairs most that 2,000 can have are there.
    pairs = {(crontab_of("H H * * *", name).minutes, crontab_of("H H * * *", name).hours) for name in NAMES}
    assert len(pairs) > 900


@pytest.mark.parametrize("name", NAMES[:50])
def test_a_step_begins_below_it_and_a_range_holds_all(name: str) -> None:
    found = numbers(crontab_of("H/15 H(9-17) H * H", name).minutes)
    assert found[0] < 15 and found == [found[0] + 15 * number for number in range(4)]
    [hour] = numbers(crontab_of("H/15 H(9-17) H * *", name).hours)
    assert 9 <= hour <= 17
    [day] = numbers(crontab_of("0 0 H * *", name).days.dates)
    assert 1 <= day <= 28  # each month has it
    [weekday] = numbers(crontab_of("0 0 * * H", name).days.weekdays)
    assert 0 <= weekday <= 6


def test_it_is_due_at_its_numbers_and_keeps_what_was_written() -> None:
    crontab = crontab_of("h H * * mon-fri", "nightly")
    assert crontab.expression == "h H * * mon-fri"
    due = next_due(CrontabTiming(crontab, "Asia/Taipei"), dt.datetime(2026, 11, 24, tzinfo=dt.UTC))
    assert due == dt.datetime(2026, 11, 24, 11, 49, tzinfo=dt.UTC)
    # Alone it is one number, so it runs once in the hour that comes twice; with a step it recurs.
    assert not crontab.recurs and crontab_of("H/15 1 * * *", "nightly").recurs


def test_names_of_days_and_months_are_no_h() -> None:
    assert crontab_of("0 0 * march thu", "a") == crontab_of("0 0 * march thu", "b")


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("H(5-70) * * * *", "has 'h(5-70)' as its minute: from 0 to 59, the smaller first"),
        ("0 H(9-5) * * *", "has 'h(9-5)' as its hour: from 0 to 23, the smaller first"),
        ("0 0 H(1-31) * *", "has 'h(1-31)' as its day of month: from 1 to 28, the smaller first"),
        ("H/0 * * * *", "has 'h/0' as its minute: steps are 1 to 60"),
        ("H/61 * * * *", "has 'h/61' as its minute: steps are 1 to 60"),
        ("H-5 * * * *", "has 'h' as its minute"),
        ("H( * * * *", "has 'h(' as its minute"),
    ],
)
def test_what_is_no_h_is_told(expression: str, fault: str) -> None:
    with pytest.raises(CrontabInvalid) as told:
        crontab_of(expression, "nightly")
    assert str(told.value).startswith(fault)


def test_without_a_name_there_is_no_number() -> None:
    with pytest.raises(CrontabInvalid, match="follows from the name of a schedule, and there is none"):
        parse_crontab("H 3 * * *")
