"""Lengths of time as they are stored, each checked where it is read."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

# A moment of these days stays between the years 1 and 9999 with this added to it or taken from it.
LONGEST = dt.timedelta(days=365_000)


class Unreadable(Exception):
    """A stored value that nothing can be done with. Its text goes on after the value's name: "is nan, …"."""


@lru_cache(maxsize=1000)
def span_of(seconds: float) -> dt.timedelta:
    """A length of time; negative ones too. Raises `Unreadable` for NaN, infinity, or more than 1000 years."""
    try:
        span = dt.timedelta(seconds=seconds)
        if -LONGEST <= span <= LONGEST:
            return span
    except (ValueError, OverflowError):
        pass
    raise Unreadable(f"is {seconds}, no number of seconds up to 1000 years")
