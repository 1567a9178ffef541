"""When the sun rises, sets and stands highest: the events of Celery's `solar`, computed by the same library.

1. The event of a day is searched from a fixed moment of mean local time at which it can't happen: six hours
   before midnight for dawn and sunrise, six before noon for sunset and dusk, midnight for noon. So an event
   has one time, to the second, whatever the question. Celery searches on from the last event, which gives
   times that differ by fractions of a second with the start of the search.
2. Near the poles the sun does not rise or set for months. Such days are skipped together: the distance of
   the sun's declination from where the event can happen, divided by its fastest change, is a number of days
   that certainly have no event. Half a year of polar night takes some ten computations instead of 180.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

DAY = 86_400
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# The library counts days from this moment. Its own dates use the Julian calendar before 1582; ours never do.
EPHEM_EPOCH = dt.datetime(1899, 12, 31, 12, tzinfo=dt.UTC)
# Longer than any polar night: an event that does not happen within a year never does.
SEARCHED_DAYS = 367
# Degrees a day: the declination's fastest change, at the equinoxes, is 0.41.
FASTEST = 0.42
# Degrees: a margin for the sun's apparent size, which changes meanwhile, and for the rounding of angles.
UNSURE = 0.02
# How many events are cached, at 200 bytes each: many schedules may use the sun of one place.
REMEMBERED = 5_000


@dataclass(frozen=True)
class Event:
    """Happens when the sun's centre, or else its upper edge, is at the height `horizon`.

    Heights are in degrees and minutes. Solar noon, a transit, does not depend on the height.
    """

    way: Literal["rising", "transit", "setting"]
    horizon: str
    centre: bool

    @property
    def search_from(self) -> int:
        """When the search for a day's event begins, in seconds of mean local time from midnight."""
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
    """Returns the first event after `after`; None if there is none within a year.

    Latitude and longitude are in degrees, north and east positive.
    """
    # Mean local time runs ahead of UTC by four minutes a degree to the east.
    local = (after - EPOCH).total_seconds() + longitude * DAY / 360
    day = int((local - EVENTS[name].search_from) // DAY)
    last = day + SEARCHED_DAYS
    while day < last:
        found = _event_of_day(name, latitude, longitude, day)
        if found is not None and found > after:
            return found
        day += 1
        if found is None:
            day += _days_without(name, latitude, longitude, day)
    return None


@lru_cache(maxsize=REMEMBERED)
def _event_of_day(name: str, latitude: float, longitude: float, day: int) -> dt.datetime | None:
    ephem = _ephem()
    event, observer = EVENTS[name], _observer(name, latitude, longitude)
    start = _start_of(event, longitude, day)
    try:
        found = _search(observer, event, _days_at(start))
    except ephem.CircumpolarError:
        return None
    moment = EPHEM_EPOCH + dt.timedelta(seconds=round(found * DAY))
    return moment if start <= moment < start + dt.timedelta(days=1) else None


def _days_without(name: str, latitude: float, longitude: float, day: int) -> int:
    """Returns how many days, from `day` on, certainly have no event; 0 when `day` itself may have one."""
    event = EVENTS[name]
    if event.way == "transit":
        return 0
    ephem = _ephem()
    observer, sun = _observer(name, latitude, longitude), ephem.Sun()
    observer.date = _days_at(_start_of(event, longitude, day))
    sun.compute(observer)
    height = math.degrees(observer.horizon - (0 if event.centre else sun.radius))
    declination = math.degrees(sun.dec)
    # Within a day the sun passes every height between its lowest, at midnight, and its highest, at noon.
    lowest, highest = abs(latitude + declination) - 90, 90 - abs(latitude - declination)
    missing = max(lowest - height, height - highest) - UNSURE
    return max(0, int(missing / FASTEST))


def _observer(name: str, latitude: float, longitude: float) -> Any:
    observer = _ephem().Observer()
    observer.lat, observer.lon = str(latitude), str(longitude)
    # The 34 minutes of arc of `horizon` are the almanacs' refraction; no pressure, so that no more is added.
    observer.horizon, observer.pressure = EVENTS[name].horizon, 0
    return observer


def _start_of(event: Event, longitude: float, day: int) -> dt.datetime:
    """Returns when the search for the day's event begins."""
    return EPOCH + dt.timedelta(seconds=day * DAY + event.search_from - longitude * DAY / 360)


def _days_at(moment: dt.datetime) -> float:
    """Returns the moment in the library's days."""
    return (moment - EPHEM_EPOCH).total_seconds() / DAY


def _search(observer: Any, event: Event, start: Any) -> Any:
    sun = _ephem().Sun()
    if event.way == "transit":
        return observer.next_transit(sun, start=start)
    if event.way == "rising":
        return observer.next_rising(sun, start=start, use_center=event.centre)
    return observer.next_setting(sun, start=start, use_center=event.centre)


def _ephem() -> Any:
    # Imported at first use: it takes a megabyte, and few schedules use it. Any: the stubs that come with
    # celery-types cover almost nothing of it.
    import ephem

    return ephem
