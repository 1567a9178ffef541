"""The due times of a window of the past, by what the schedule was at each of them. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from services.scheduler.explain.history import History, Revision
from services.scheduler.timing.plan import JUST_BEFORE, UNBOUNDED


class DueTime(NamedTuple):
    """A due time of the timing, within the bounds or not, and what the schedule was then."""

    due: dt.datetime
    revision: Revision


class DueTimes:
    """The newest `most` due times from `start` to `end`, both included, found step by step."""

    def __init__(self, history: History, start: dt.datetime, end: dt.datetime, most: int) -> None:
        self._history = history
        self._start, self._end = start, end
        self._most = most
        # The newest first.
        self.found: list[DueTime] = []

    def steps(self) -> Iterator[None]:
        """Finds one due time in each step, which takes a few milliseconds at most."""
        for revision in self._history.revisions:
            # Of a change, due times count from the change on.
            low = max(self._start, revision.since)
            high = self._end if revision.until is None else min(self._end, revision.until - JUST_BEFORE)
            for due in _backwards(revision, low, high):
                if len(self.found) >= self._most:
                    return
                self.found.append(DueTime(due, revision))
                yield


def _backwards(revision: Revision, low: dt.datetime, high: dt.datetime) -> Iterator[dt.datetime]:
    """Yields the due times from `low` to `high`, the last first."""
    if revision.plan is None or low > high:
        return
    plan = revision.plan._replace(bounds=UNBOUNDED)
    first = plan.next_due(low - JUST_BEFORE)
    if first is None or first > high:
        return
    due = plan.last_due(first, high)
    yield due
    while due > first:
        due = plan.last_due(first, due - JUST_BEFORE)
        yield due
