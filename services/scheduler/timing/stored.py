"""Single values of a schedule as they are stored, each checked where it is read.

Only the API's checks make sure that a value makes sense, and a row may have been written by SQL. What is
checked here is remembered by value, so that nearly all rows cost one look into a cache.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.kernel.stored_values import Unreadable, span_of

NOTHING = dt.timedelta(0)
# In bytes: the length that a name of a file may have.
MOST_ZONE = 255


@lru_cache(maxsize=1000)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name. Raises `Unreadable` if there is none."""
    try:
        # Looked up as a file: one with a longer name is an OSError.
        if len(name.encode()) <= MOST_ZONE:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError, NotADirectoryError):
        # A name of other errors of the file system, such as too many open files, may be right.
        pass
    raise Unreadable(f"is {name[:100]!r}, no zone of the IANA database")


@lru_cache(maxsize=1000)
def interval_of(seconds: float) -> dt.timedelta:
    """From one due time to the next. Raises `Unreadable` unless it is a microsecond or more."""
    every = span_of(seconds)
    if every <= NOTHING:
        raise Unreadable(f"is {seconds}, it must be more than 0")
    return every
