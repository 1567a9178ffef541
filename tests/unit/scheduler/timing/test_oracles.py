"""Due times against programs that others wrote: cronsim on daylight saving, Celery on syntax and the sun."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import crontab as celery_crontab
from celery.schedules import solar as celery_solar
from cronsim import CronSim
from hypothesis import assume, given
from hypothesis import strategies as st

from services.scheduler.timing.crontab import DAY_NAMES, parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, next_due
from services.scheduler.timing.solar import EVENTS, next_event
from tests.support.examples import tried

ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "America/St_Johns",
    "America/Sao_Paulo",  # the clocks changed at midnight, until 2019
    "Africa/Casablanca",  # twice a year more, around Ramadan
    "Asia/Tehran",
    "Asia/Taipei",
]
START = dt.datetime(2017, 1, 1, 0, 0, 30, tzinfo=dt.UTC)
END = START.replace(year=2027)


def due_until(expression: str, zone: str, start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    timing, moment = CrontabTiming(parse_crontab(expression), zone), start
    while (due := next_due(timing, moment)) is not None and due <= end:
        yield due
        moment = due


def cronsim_until(expression: str, zone: str, start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    last = start
    for local in CronSim(expression, start.astimezone(ZoneInfo(zone))):
        moment = local.astimezone(dt.UTC)
        if moment > end:
            return
        # Of several times that the clock skips, each is moved to the end of the gap: for us they are one.
        if moment > last:
            yield moment
            last = moment


def plain_numbers(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    return st.one_of(
        number.map(str),
        st.lists(number, min_size=2, max_size=3).map(lambda found: ",".join(map(str, found))),
    )


def numbers(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    return st.one_of(
        plain_numbers(least, most),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        # "0-0/2" is all even numbers to cronsim, and 0 to cron and us.
        st.tuples(st.integers(least + 1, most), st.integers(2, 9)).map(
            lambda pair: f"{least}-{pair[0]}/{pair[1]}"
        ),
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "0 0 * * *", "0,30 1-3 * * 6,0", "59 23 * * *", "15 * 25-31 3,10 *"]
)
def test_ten_years_of_due_times_are_cronsims(zone: str, expression: str) -> None:
    ours = list(due_until(expression, zone, START, END))
    assert len(ours) > 400
    assert ours == list(cronsim_until(expression, zone, START, END))


minutes_and_hours = st.one_of(
    # cronsim follows Debian's cron, which watches daylight saving as we do where there is no `*`, but for
    # minutes that recur within an hour. Of those test_timing.py has an oracle of its own.
    st.tuples(plain_numbers(0, 59), numbers(0, 4)),
    st.tuples(plain_numbers(0, 59), numbers(0, 23)),
    # As the crontab has it, a `*` hour follows elapsed time in both programs.
    st.tuples(numbers(0, 59), st.just("*")),
    st.tuples(st.just("*"), st.just("*")),
)


@tried(150)
@given(
    minutes_and_hours,
    st.sampled_from(["* * *", "* * 0", "* 3,10,11 0", "* * 6-7", "25-31 3,4,9,10 *", "1-8 4,10,11 *"]),
    st.sampled_from(ZONES),
    st.datetimes(START.replace(tzinfo=None), END.replace(tzinfo=None)),
)
def test_any_pattern_is_due_when_cronsim_says(
    times: tuple[str, str], days: str, zone: str, start: dt.datetime
) -> None:
    # Where the clock goes back by half an hour, "30 * * * *" is due again half an hour later by our rule,
    # since the minute comes again; cronsim waits for the next hour.
    assume(not (zone == "Australia/Lord_Howe" and times[1] == "*"))
    expression, start = " ".join((*times, days)), start.replace(tzinfo=dt.UTC)
    theirs = [due for due, _ in zip(cronsim_until(expression, zone, start, END), range(300), strict=False)]
    ours = [due for due, _ in zip(due_until(expression, zone, start, END), range(300), strict=False)]
    assert ours == theirs


# Celery's own syntax: `*` with steps, ranges that go on past the end, names.
def celery_field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    part = st.one_of(
        st.just("*"),
        number.map(str),
        st.integers(1, most).map(lambda step: f"*/{step}"),
        st.tuples(number, number).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(number, number, st.integers(1, 5)).map(lambda found: "{}-{}/{}".format(*found)),
    )
    return st.lists(part, min_size=1, max_size=3).map(",".join)


day = st.sampled_from(DAY_NAMES).flatmap(lambda name: st.sampled_from([name, name[:3], name.title()]))
celery_days = st.one_of(
    celery_field(0, 6), day, st.tuples(day, day).map("-".join), st.tuples(day, day).map(",".join)
)


def celery_next(schedule: Any, after: dt.datetime) -> dt.datetime:
    found: dt.datetime = after + schedule.remaining_estimate(after)
    return found.astimezone(dt.UTC)


def celery_in(zone: str) -> Celery:
    return Celery(set_as_current=False, changes={"timezone": zone})


@tried(300)
@given(
    st.tuples(
        celery_field(0, 59), celery_field(0, 23), celery_field(1, 28), celery_field(1, 12), celery_days
    ),
    # Away from the days on which the clocks change there.
    st.sampled_from(["Asia/Taipei", "UTC", "Asia/Kolkata", "America/Phoenix"]),
    st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2030, 1, 1)),
)
def test_what_celery_can_parse_is_due_when_celery_says(
    fields: tuple[str, str, str, str, str], zone: str, start: dt.datetime
) -> None:
    after = start.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
    minute, hour, day, month, weekday = fields
    schedule = celery_crontab(minute, hour, weekday, day, month, app=celery_in(zone), nowfun=lambda: after)
    timing = CrontabTiming(parse_crontab(" ".join(fields)), zone)
    for _ in range(5):
        due = next_due(timing, after.astimezone(dt.UTC))
        assert due == celery_next(schedule, after)
        after = due.astimezone(ZoneInfo(zone))


@pytest.mark.parametrize(
    ("ours", "celerys"),
    [
        ("*/15 * * * *", {"minute": "*/15"}),
        ("*/7 * * * *", {"minute": "*/7"}),
        ("3-20/5 * * * *", {"minute": "3-20/5"}),
        ("50-10/5 * * * *", {"minute": "50-10/5"}),
        ("0 22-4 * * *", {"minute": 0, "hour": "22-4"}),
        ("0 22-4/3 * * *", {"minute": 0, "hour": "22-4/3"}),
        ("0 0 */10 * *", {"minute": 0, "hour": 0, "day_of_month": "*/10"}),
        ("0 0 28-3 * *", {"minute": 0, "hour": 0, "day_of_month": "28-3"}),
        ("0 0 1 */5 *", {"minute": 0, "hour": 0, "day_of_month": 1, "month_of_year": "*/5"}),
        ("0 0 1 nov-feb *", {"minute": 0, "hour": 0, "day_of_month": 1, "month_of_year": "nov-feb"}),
        ("0 0 1 September *", {"minute": 0, "hour": 0, "day_of_month": 1, "month_of_year": "September"}),
        ("0 0 * * fri-mon", {"minute": 0, "hour": 0, "day_of_week": "fri-mon"}),
        ("0 0 * * fri-mon/2", {"minute": 0, "hour": 0, "day_of_week": "fri-mon/2"}),
        ("0 0 * * */2", {"minute": 0, "hour": 0, "day_of_week": "*/2"}),
        ("0 0 * * Tuesday,sat", {"minute": 0, "hour": 0, "day_of_week": "Tuesday,sat"}),
        ("0 9 13 * fri", {"minute": 0, "hour": 9, "day_of_month": 13, "day_of_week": "fri"}),
    ],
)
def test_syntax_means_what_it_means_in_celery(ours: str, celerys: dict[str, Any]) -> None:
    after = dt.datetime(2026, 11, 24, 14, 5, tzinfo=dt.UTC)
    schedule = celery_crontab(**celerys, app=celery_in("UTC"), nowfun=lambda: after)
    timing = CrontabTiming(parse_crontab(ours), "UTC")
    for _ in range(20):
        due = next_due(timing, after)
        assert due == celery_next(schedule, after)
        after = due


@tried(100)
@given(
    st.sampled_from(sorted(EVENTS)),
    # Beyond the polar circles, too.
    st.floats(-72, 72).map(lambda found: round(found, 3)),
    st.floats(-180, 180).map(lambda found: round(found, 3)),
    st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2030, 1, 1)),
)
def test_the_sun_does_what_celery_says(
    event: str, latitude: float, longitude: float, start: dt.datetime
) -> None:
    after = start.replace(tzinfo=dt.UTC)
    make: Any = celery_solar  # its stub wants literals
    schedule = make(event, latitude, longitude, app=celery_in("UTC"), nowfun=lambda: after)
    for _ in range(20):
        ours = next_event(event, latitude, longitude, after)
        assert ours is not None
        assert abs(ours - celery_next(schedule, after)) <= dt.timedelta(seconds=1)
        # Celery's times differ by fractions of a second with where the search begins; ours don't.
        assert next_event(event, latitude, longitude, ours - dt.timedelta(seconds=1)) == ours
        assert next_event(event, latitude, longitude, ours - dt.timedelta(hours=9)) == ours
        after = ours + dt.timedelta(minutes=1)


def test_polar_night_and_day_are_passed_over() -> None:
    def utc(text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)

    # Tromsø: the almanac has the sun back on 15 January, and no sunset from 20 May to 24 July (local dates).
    returns = next_event("sunrise", 69.65, 18.96, utc("2026-11-28 12:00"))
    assert returns is not None and returns.date() == dt.date(2027, 1, 15)
    sets = next_event("sunset", 69.65, 18.96, utc("2026-05-20 12:00"))
    assert sets is not None and dt.date(2026, 7, 23) <= sets.date() <= dt.date(2026, 7, 26)
    # Noon comes every day; at the pole nothing ever crosses the horizon within a day.
    assert next_event("solar_noon", 69.65, 18.96, utc("2026-12-20 12:00")) is not None
    assert next_event("dawn_astronomical", 90, 0, utc("2026-12-20 12:00")) is None
