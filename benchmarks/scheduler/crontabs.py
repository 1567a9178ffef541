"""Crontabs of many entries of which a known share is due at a full minute, and no other soon."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

# Minute and hour are filled in. All of them never come within an hour of the measured minutes.
OTHERS = ("{0} {1} * * *", "{0} {1} * * mon-fri", "{0} {1} 1,15 * *", "{0},{2} {1} * * *")


def crontabs(count: int, due: int, minutes: Sequence[dt.datetime]) -> Iterator[str]:
    """`count` crontabs; at each of the minutes (local time, an hour apart at most) other `due` of them match.

    Those are hourly and daily ones, scattered evenly among the others.
    """
    apart = count // due if due else 0
    for number in range(count):
        place = number % apart if apart else count
        if place < len(minutes) and number < apart * due:
            moment = minutes[place]
            yield f"{moment.minute} {moment.hour if number // apart % 2 else '*'} * * *"
        else:
            yield _other(number, minutes[0].hour)


def _other(number: int, hour: int) -> str:
    minute = number % 60
    pattern = OTHERS[number // 7 % len(OTHERS)]
    return pattern.format(minute, (hour + 2 + number // 60 % 20) % 24, (minute + 30) % 60)
