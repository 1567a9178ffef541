"""The newest reading of the measures, as long as it says something of the present."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from services.monitor.measuring.measures import Reading, Values

# Readings that are missed before the last one is not told any more.
MOST_MISSED = 3


class Newest:
    """`reading` returns the newest one, `every` is the seconds between two."""

    def __init__(self, reading: Callable[[], Reading | None], every: float) -> None:
        self._reading = reading
        self._most = dt.timedelta(seconds=every * (MOST_MISSED + 1))

    def values(self, measure: str) -> Values:
        """Returns the values by subject; none if nothing is known of the present."""
        reading = self._reading()
        if reading is None or dt.datetime.now(dt.UTC) - reading.time > self._most:
            return {}
        return reading.values.get(measure, {})

    def value(self, measure: str) -> float | None:
        """Returns the value of a measure of the whole system; None if it is not known."""
        return self.values(measure).get("")
