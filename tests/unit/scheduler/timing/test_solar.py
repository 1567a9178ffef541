"""The search for events of the sun near the poles: as if each day were looked at, in a few looks."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.scheduler.timing.solar import DAY, EPOCH, EVENTS, SEARCHED_DAYS, _event_of_day, next_event
from tests.support.examples import tried

POLAR_NIGHT = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def day_by_day(name: str, latitude: float, longitude: float, after: dt.datetime) -> dt.datetime | None:
    """The oracle: every day is looked at."""
    local = (after - EPOCH).total_seconds() + longitude * DAY / 360
    today = int((local - EVENTS[name].search_from) // DAY)
    days = range(today, today + SEARCHED_DAYS)
    found = (_event_of_day(name, latitude, longitude, day) for day in days)
    return next((each for each in found if each is not None and each > after), None)


def days_looked_at(name: str, latitude: float, after: dt.datetime) -> int:
    before = _event_of_day.cache_info().misses
    next_event(name, latitude, 12.5, after)
    return _event_of_day.cache_info().misses - before


@tried(60)
@given(
    name=st.sampled_from(sorted(EVENTS)),
    latitude=st.one_of(st.floats(45, 90), st.floats(-90, -45), st.floats(88.5, 90), st.floats(65, 68)),
    longitude=st.floats(-180, 180),
    after=st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9990, 1, 1), timezones=st.just(dt.UTC)),
)
@example("sunrise", 89.5, 12.5, POLAR_NIGHT)
@example("sunset", -90.0, 0.0, POLAR_NIGHT)
@example("dawn_astronomical", 48.56, 2.3, dt.datetime(2026, 6, 21, tzinfo=dt.UTC))
# ephem's own calendar has this day twelve days earlier, and 29 February 1500.
@example("sunrise", 89.5, 12.5, dt.datetime(1500, 2, 28, tzinfo=dt.UTC))
def test_days_without_the_event_are_passed_over_and_none_with_it(
    name: str, latitude: float, longitude: float, after: dt.datetime
) -> None:
    assert next_event(name, latitude, longitude, after) == day_by_day(name, latitude, longitude, after)


@pytest.mark.parametrize("latitude", [90.0, 89.5, 88.6, -89.9])
@pytest.mark.parametrize("name", ["sunrise", "dawn_astronomical", "sunset"])
def test_half_a_year_of_polar_night_takes_few_looks_at_the_sun(name: str, latitude: float) -> None:
    assert days_looked_at(name, latitude, POLAR_NIGHT) < 60


def test_what_never_comes_is_told_after_few_looks_at_the_sun() -> None:
    """At the pole itself nothing rises: the sun goes round."""
    assert next_event("sunrise", 90.0, 0.0, POLAR_NIGHT) is None
    assert days_looked_at("sunrise", 90.0, POLAR_NIGHT) < 60
