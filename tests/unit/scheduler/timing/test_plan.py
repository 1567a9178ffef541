"""Bounds and jitter: which due times count, and when each is sent."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming
from services.scheduler.timing.plan import Bounds, Plan
from tests.support.examples import tried

HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)
MICROSECOND = dt.timedelta(microseconds=1)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def crontab(expression: str, zone: str = "UTC") -> CrontabTiming:
    return CrontabTiming(parse_crontab(expression), zone)


def all_due(plan: Plan, after: dt.datetime, most: int = 100) -> list[dt.datetime]:
    found: list[dt.datetime] = []
    due = plan.next_due(after)
    while due is not None and len(found) < most:
        found.append(due)
        due = plan.next_due(due)
    return found


def test_once_is_due_once() -> None:
    at = utc("2026-12-24 09:00:00.500")
    assert all_due(Plan(OnceTiming(at, "UTC")), utc("2026-01-01")) == [at]
    assert Plan(OnceTiming(at, "UTC")).next_due(at) is None


def test_a_due_time_at_the_start_or_at_the_end_counts() -> None:
    plan = Plan(crontab("0 * * * *"), Bounds(utc("2026-11-24 10:00"), utc("2026-11-24 12:00")))
    assert all_due(plan, utc("2020-01-01")) == [
        utc("2026-11-24 10:00"),
        utc("2026-11-24 11:00"),
        utc("2026-11-24 12:00"),
    ]


def test_a_due_time_a_microsecond_outside_the_bounds_does_not_count() -> None:
    bounds = Bounds(utc("2026-11-24 10:00") + MICROSECOND, utc("2026-11-24 12:00") - MICROSECOND)
    assert all_due(Plan(crontab("0 * * * *"), bounds), utc("2020-01-01")) == [utc("2026-11-24 11:00")]


def test_an_interval_keeps_its_pace_whatever_its_start() -> None:
    anchor = utc("2026-11-24 09:20")
    plan = Plan(IntervalTiming(HOUR, anchor, "UTC"), Bounds(utc("2026-11-24 10:00")))
    assert plan.next_due(utc("2020-01-01")) == utc("2026-11-24 10:20")


def test_an_interval_of_milliseconds_does_not_drift() -> None:
    anchor, every = utc("2026-11-24 00:00"), dt.timedelta(milliseconds=1001)
    found = all_due(Plan(IntervalTiming(every, anchor, "UTC")), anchor, most=5000)
    assert found[-1] == anchor + 5000 * every


def test_the_end_of_the_calendar_is_the_end_of_due_times() -> None:
    last = utc("9999-12-31 23:59:59")
    for timing in (
        crontab("0 0 * * *", "Asia/Taipei"),
        crontab("* * * * *", "America/New_York"),
        IntervalTiming(HOUR, utc("2026-01-01"), "UTC"),
        SolarTiming("sunrise", 25.0, 121.5, "UTC"),
    ):
        assert Plan(timing).next_due(last) is None


TIMINGS = st.sampled_from(
    [
        crontab("* * * * *"),
        crontab("*/20 8-17 * * mon-fri", "America/New_York"),
        crontab("30 2 * * *", "Europe/London"),
        crontab("0 0 1 * *", "Asia/Taipei"),
        IntervalTiming(dt.timedelta(seconds=90), utc("2026-01-01 00:00:07"), "UTC"),
        SolarTiming("sunset", 51.5, -0.12, "UTC"),
        OnceTiming(utc("2027-01-01"), "UTC"),
    ]
)
MOMENTS = st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2029, 1, 1)).map(
    lambda found: found.replace(tzinfo=dt.UTC)
)
JITTERS = st.integers(1, 86_400_000).map(lambda found: dt.timedelta(milliseconds=found))


@tried(200)
@given(TIMINGS, MOMENTS, JITTERS, st.text("abc", min_size=1, max_size=5))
def test_jitter_is_always_the_same_and_ends_before_the_next_due_time(
    timing: CrontabTiming, after: dt.datetime, jitter: dt.timedelta, name: str
) -> None:
    plan = Plan(timing, jitter=jitter)
    for due in all_due(plan, after, most=5):
        sent = plan.sent_at(name, due)
        assert due <= sent < due + jitter
        following = plan.next_due(due)
        assert following is None or sent < following
        assert sent == Plan(timing, jitter=jitter).sent_at(name, due)


def test_jitter_spreads_over_all_of_its_span() -> None:
    plan = Plan(crontab("0 0 * * *"), jitter=10 * SECOND)
    due = utc("2026-11-24")
    tenths = [0] * 10
    for number in range(10_000):
        tenths[(plan.sent_at(f"s-{number}", due) - due) // SECOND] += 1
    # 1,000 are to be expected in each; eight times the standard deviation away is no accident.
    assert all(760 < count < 1240 for count in tenths), tenths


def test_no_jitter_takes_nothing_from_a_due_time() -> None:
    assert Plan(crontab("0 0 * * *")).sent_at("a", utc("2026-11-24")) == utc("2026-11-24")


@tried(200)
@given(
    TIMINGS,
    MOMENTS,
    st.integers(0, 200_000),
    st.one_of(st.just(dt.timedelta(0)), JITTERS),
)
def test_the_latest_due_time_is_the_last_of_all(
    timing: CrontabTiming, after: dt.datetime, seconds: int, jitter: dt.timedelta
) -> None:
    plan = Plan(timing, jitter=jitter)
    due = plan.next_due(after)
    if due is None:
        return
    moment = plan.sent_at("a", due) + dt.timedelta(seconds=seconds)
    one_by_one, following = due, plan.next_due(due)
    while following is not None and plan.sent_at("a", following) <= moment:
        one_by_one, following = following, plan.next_due(following)
    assert plan.latest_due("a", due, moment) == one_by_one
