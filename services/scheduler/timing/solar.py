"""When the sun rises, sets and stands highest: the events of Celery's `solar`, by the library that it uses.

An event is looked for once a day, from a moment of mean local time at which it can't happen: six hours before
midnight for dawn and sunrise, six before noon for sunset and dusk, midnight for noon. So each has one time,
to the second, from wherever it is asked for; searching on from the last one, as Celery does, gives times that
differ by fractions of a second with the start of the search.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

DAY = 86_400
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Beyond the longest polar night; where an event doesn't happen within a year, it never does.
SEARCHED_DAYS = 367


@dataclass(frozen=True)
class Event:
    """The angle to the horizon that makes it, of the sun's centre or its upper edge."""

    way: Literal["rising", "transit", "setting"]
    horizon: str
    centre: bool

    @property
    def search_from(self) -> int:
        """When the search for a day's begins: seconds of mean local time from its midnight."""
        return {"rising": -DAY // 4, "transit": 0, "setting": DAY // 4}[self.way]


EVENTS = {
    "dawn_astronomical": Event("rising", "-18", True),
    "dawn_nautical": Event("rising", "-12", True),
    "dawn_civil": Event("rising", "-6", True),
    "sunrise": Event("rising", "-0:34", False),
    "solar_noon": Event("transit", "0", False),
    "sunset": Event("setting", "-0:34", False),
    "dusk_civil": Event("setting", "-6", True),
    "dusk_nautical": Event("setting", "-12", True),
    "dusk_astronomical": Event("setting", "-18", True),
}


def next_event(name: str, latitude: float, longitude: float, after: dt.datetime) -> dt.datetime | None:
    """The first event after `after`; None if there is none for a year. Degrees, north and east positive."""
    # Mean local time runs ahead of UTC by four minutes a degree to the east.
    local = (after - EPOCH).total_seconds() + longitude * DAY / 360
    today = int((local - EVENTS[name].search_from) // DAY)
    for day in range(today, today + SEARCHED_DAYS):
        found = _event_of_day(name, latitude, longitude, day)
        if found is not None and found > after:
            return found
    return None


@lru_cache(maxsize=20_000)
def _event_of_day(name: str, latitude: float, longitude: float, day: int) -> dt.datetime | None:
    ephem = _ephem()
    event, observer = EVENTS[name], ephem.Observer()
    observer.lat, observer.lon = str(latitude), str(longitude)
    # The horizon's 34 minutes of arc stand for refraction, as in the almanacs; no other.
    observer.horizon, observer.pressure = event.horizon, 0
    start = EPOCH + dt.timedelta(seconds=day * DAY + event.search_from - longitude * DAY / 360)
    try:
        found = _search(observer, event, ephem.Date(start))
    except ephem.CircumpolarError:
        return None
    moment = (found.datetime() + dt.timedelta(seconds=0.5)).replace(microsecond=0, tzinfo=dt.UTC)
    return moment if start <= moment < start + dt.timedelta(days=1) else None


def _search(observer: Any, event: Event, start: Any) -> Any:
    sun = _ephem().Sun()
    if event.way == "transit":
        return observer.next_transit(sun, start=start)
    if event.way == "rising":
        return observer.next_rising(sun, start=start, use_center=event.centre)
    return observer.next_setting(sun, start=start, use_center=event.centre)


def _ephem() -> Any:
    # Loaded when the sun is first asked for: a megabyte, and few schedules go by it. Untyped, as the stubs
    # that come with celery-types know next to nothing of it.
    import ephem

    return ephem
