"""Due times: by examples, and against a walk over every minute."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.timing.crontab import CrontabInvalid, parse_crontab
from services.scheduler.timing.due_times import (
    ClockEffect,
    CrontabTiming,
    IntervalTiming,
    clock_effect,
    next_due,
)
from tests.support.examples import tried

ZONES = [
    "Asia/Taipei",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "America/St_Johns",
    "Africa/Casablanca",
    "UTC",
]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def due_times(expression: str, zone: str, after: str, count: int) -> list[str]:
    timing, moment, found = CrontabTiming(parse_crontab(expression), zone), utc(after), []
    for _ in range(count):
        due = next_due(timing, moment)
        assert due is not None
        moment = due
        found.append(due.astimezone(ZoneInfo(zone)).strftime("%a %m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("0 * * * *", ["Tue 11-24 15:00+0800", "Tue 11-24 16:00+0800"]),
        ("30 */6 * * *", ["Tue 11-24 18:30+0800", "Wed 11-25 00:30+0800"]),
        ("30 3 * * *", ["Wed 11-25 03:30+0800", "Thu 11-26 03:30+0800"]),
        ("*/20 8-9 * * mon-fri", ["Wed 11-25 08:00+0800", "Wed 11-25 08:20+0800"]),
        ("0 9 * * 7", ["Sun 11-29 09:00+0800", "Sun 12-06 09:00+0800"]),
        ("0 9 * * fri-mon", ["Fri 11-27 09:00+0800", "Sat 11-28 09:00+0800"]),
        ("0 9 13 * fri", ["Fri 08-13 09:00+0800", "Fri 10-13 09:00+0800"]),  # both must match
        ("0 0 29 feb *", ["Tue 02-29 00:00+0800", "Sun 02-29 00:00+0800"]),
        ("5/20 14 * * *", ["Tue 11-24 14:25+0800", "Tue 11-24 14:45+0800"]),
        ("0,30 14,22 24 NOV *", ["Tue 11-24 14:30+0800", "Tue 11-24 22:00+0800"]),
    ],
)
def test_a_pattern_is_due_at_its_local_times(expression: str, due: list[str]) -> None:
    assert due_times(expression, "Asia/Taipei", "2026-11-24 06:20", 2) == due


def test_a_time_that_the_clock_skips_is_due_at_the_end_of_the_gap() -> None:
    # New York, 2026-03-08: 02:00 becomes 03:00.
    assert due_times("30 2 * * *", "America/New_York", "2026-03-07 12:00", 2) == [
        "Sun 03-08 03:00-0400",
        "Mon 03-09 02:30-0400",
    ]


def test_several_skipped_times_are_one_due_time() -> None:
    assert due_times("*/15 2 * * *", "America/New_York", "2026-03-08 05:00", 2) == [
        "Sun 03-08 03:00-0400",
        "Mon 03-09 02:00-0400",
    ]


def test_a_time_that_comes_twice_is_due_once() -> None:
    # New York, 2026-11-01: 02:00 becomes 01:00 again.
    assert due_times("30 1 * * *", "America/New_York", "2026-10-31 12:00", 2) == [
        "Sun 11-01 01:30-0400",
        "Mon 11-02 01:30-0500",
    ]


@pytest.mark.parametrize("minutes", ["*/30", "0-30/30", "0,30-59/30", "30/30,0-0"])
def test_a_pattern_that_recurs_within_the_hour_goes_on_through_both_passes(minutes: str) -> None:
    assert due_times(f"{minutes} 1 * * *", "America/New_York", "2026-10-31 12:00", 5) == [
        "Sun 11-01 01:00-0400",
        "Sun 11-01 01:30-0400",
        "Sun 11-01 01:00-0500",
        "Sun 11-01 01:30-0500",
        "Mon 11-02 01:00-0500",
    ]


@pytest.mark.parametrize(
    ("expression", "due", "effect"),
    [
        ("30 2 * * *", "2026-03-08 07:00", ClockEffect.SKIPPED),
        ("*/15 2 * * *", "2026-03-08 07:00", ClockEffect.SKIPPED),
        ("0 3 * * *", "2026-03-08 07:00", None),
        ("0 * * * *", "2026-03-08 07:00", None),
        ("30 1 * * *", "2026-11-01 05:30", ClockEffect.FIRST_ONLY),
        ("*/30 1 * * *", "2026-11-01 05:30", None),
        ("*/30 1 * * *", "2026-11-01 06:30", ClockEffect.SECOND_PASS),
        ("30 * * * *", "2026-11-01 05:30", None),
        ("30 * * * *", "2026-11-01 06:30", ClockEffect.SECOND_PASS),
        ("30 2 * * *", "2026-11-01 07:30", None),
    ],
)
def test_what_the_clocks_have_to_do_with_a_due_time_is_told(
    expression: str, due: str, effect: ClockEffect | None
) -> None:
    timing, moment = CrontabTiming(parse_crontab(expression), "America/New_York"), utc(due)
    assert next_due(timing, moment - dt.timedelta(seconds=1)) == moment
    assert clock_effect(timing, moment) is effect


def test_an_hourly_pattern_goes_on_through_the_repeated_hour() -> None:
    assert due_times("30 * * * *", "America/New_York", "2026-11-01 04:00", 4) == [
        "Sun 11-01 00:30-0400",
        "Sun 11-01 01:30-0400",
        "Sun 11-01 01:30-0500",
        "Sun 11-01 02:30-0500",
    ]


def test_an_hourly_pattern_has_nothing_to_make_up_for_after_a_gap() -> None:
    assert due_times("30 * * * *", "America/New_York", "2026-03-08 06:00", 2) == [
        "Sun 03-08 01:30-0500",
        "Sun 03-08 03:30-0400",
    ]


def test_an_interval_counts_from_its_anchor() -> None:
    anchor = utc("2026-11-24 06:00:07")
    timing = IntervalTiming(dt.timedelta(seconds=10), anchor, "Asia/Taipei")
    assert next_due(timing, anchor) == utc("2026-11-24 06:00:17")
    assert next_due(timing, utc("2020-01-01 00:00:00")) == anchor
    assert next_due(timing, utc("2026-11-24 06:00:17")) == utc("2026-11-24 06:00:27")
    assert next_due(timing, utc("2026-11-24 07:00:00")) == utc("2026-11-24 07:00:07")


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("60 * * * *", "'60' as its minute, not 0 to 59"),
        ("* 24 * * *", "'24' as its hour"),
        ("* * 0 * *", "'0' as its day of month"),
        ("* * * 13 *", "'13' as its month"),
        ("* * * * 8", "'8' as its day of week"),
        ("* * * foo *", "'foo' as its month"),
        ("*/0 * * * *", "steps by 0"),
        ("* * * * *; DROP TABLE", "has 7 fields"),
        ("1,,2 * * * *", "'' as its minute"),
        ("*-5 * * * *", "'*-5' as its minute"),
        ("0 0 30 2 *", "never comes"),
        ("@reboot", "'@reboot', not one of @hourly, @daily"),
        ("@daily 3", "'@daily 3', not one of"),
        ("٣ * * * *", "as its minute"),
    ],
)
def test_nonsense_is_told_by_its_field(expression: str, fault: str) -> None:
    with pytest.raises(CrontabInvalid) as refused:
        parse_crontab(expression)
    assert fault in str(refused.value)


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.lists(number, min_size=2, max_size=3).map(lambda found: ",".join(map(str, found))),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(2, 7).map(lambda step: f"*/{step}"),
    )


def walked(expression: str, zone: str, after: dt.datetime, minutes: int) -> list[dt.datetime]:
    """Every due time within the minutes after `after`, by walking over them: an oracle by definition."""
    crontab, place = parse_crontab(expression), ZoneInfo(zone)
    recurs = re.search(r"[*/-]", expression.split()[0]) is not None

    def matches(local: dt.datetime) -> bool:
        return bool(
            crontab.minutes >> local.minute & 1
            and crontab.hours >> local.hour & 1
            and crontab.days.dates >> local.day & 1
            and crontab.months >> local.month & 1
            and crontab.days.weekdays >> (local.isoweekday() % 7) & 1
        )

    found, offset = [], after.astimezone(place).utcoffset()
    start = after.replace(second=0, microsecond=0)
    for step in range(1, minutes + 1):
        instant = start + step * dt.timedelta(minutes=1)
        local = instant.astimezone(place)
        shift = (local.utcoffset() or dt.timedelta()) - (offset or dt.timedelta())
        offset = local.utcoffset()
        naive = local.replace(tzinfo=None, fold=0)
        due = matches(naive) and (local.fold == 0 or crontab.every_hour or recurs)
        if shift > dt.timedelta() and not crontab.every_hour:
            # The gap that has just passed: was any of its minutes due?
            skipped = range(int(shift.total_seconds() // 60))
            due = due or any(matches(naive - dt.timedelta(minutes=1 + number)) for number in skipped)
        if due:
            found.append(instant)
    return found


# Around the days on which these zones change their clocks, and at any other time.
CHANGES = ["2026-03-08", "2026-11-01", "2026-03-29", "2026-10-25", "2026-04-05", "2026-10-04", "2026-02-15"]
starts = st.one_of(
    st.tuples(st.sampled_from(CHANGES), st.integers(-2880, 1440)).map(
        lambda pair: utc(pair[0]) + dt.timedelta(minutes=pair[1])
    ),
    st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2030, 1, 1)).map(lambda t: t.replace(tzinfo=dt.UTC)),
)


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("America/New_York", "2026-11-01"),
        ("Europe/London", "2026-10-25"),
        ("Australia/Lord_Howe", "2026-04-04"),
        ("America/St_Johns", "2026-11-01"),
        ("Africa/Casablanca", "2026-02-15"),
        ("America/Sao_Paulo", "2018-02-18"),  # at midnight
    ],
)
@pytest.mark.parametrize(
    "times",
    ["*/15 0-3", "* 1-6", "0-30 1", "0 0-3", "0,30 1", "0,30 23,0", "5,20-25 23-2", "*/20 *", "7 */1"],
)
def test_a_night_on_which_clocks_go_back_is_as_a_walk_over_its_minutes_has_it(
    zone: str, night: str, times: str
) -> None:
    expression, after = f"{times} * * *", utc(night) - dt.timedelta(hours=12)
    expected = walked(expression, zone, after, 2 * 1440)
    timing, found = CrontabTiming(parse_crontab(expression), zone), [after]
    while (due := next_due(timing, found[-1])) is not None and len(found) <= len(expected):
        found.append(due)
    assert found[1:] == expected


@tried(150)
@given(
    st.tuples(numbers(0, 59), numbers(0, 23), st.just("*"), st.just("*"), numbers(0, 6)).map(" ".join),
    st.sampled_from(ZONES),
    starts,
)
def test_due_times_are_those_of_a_walk_over_every_minute(
    expression: str, zone: str, after: dt.datetime
) -> None:
    minutes = 3 * 1440
    expected = walked(expression, zone, after, minutes)
    timing, moment, found = CrontabTiming(parse_crontab(expression), zone), after, []
    end = after.replace(second=0, microsecond=0) + dt.timedelta(minutes=minutes)
    while (due := next_due(timing, moment)) is not None and due <= end:
        found.append(due)
        moment = due
    assert found == expected
