"""The due times that are still to come of a schedule, found step by step. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from services.scheduler.schedule.definition import Definition

# So far ahead is looked at most. After 400 years the calendar repeats itself, weekdays and leap years alike;
# and the sun, which near a pole rises once a year, is found in 400 searches of a millisecond or two.
LOOKED_AHEAD = dt.timedelta(days=146_097)
LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


class Preview:
    """The first `most` due times after a moment, as if nothing paused the schedule."""

    def __init__(self, proposed: Definition, after: dt.datetime, run_count: int, most: int) -> None:
        """`run_count`: runs that the schedule has behind it, which count towards its max_runs."""
        self._proposed = proposed
        self._after = after
        limit = proposed.bounds.max_runs
        self._most = most if limit is None else min(most, limit - run_count)
        self.due: list[dt.datetime] = []
        # When each of them is sent: later than due, with jitter.
        self.sent: list[dt.datetime] = []
        # Set when there may be more due times after this moment, which was as far as was looked.
        self.looked_until: dt.datetime | None = None

    def steps(self) -> Iterator[None]:
        """Finds one due time a step, which takes some milliseconds at most."""
        plan = self._proposed.plan
        start = self._after
        if plan.bounds.start is not None:
            start = max(start, plan.bounds.start)
        end = start + min(LOOKED_AHEAD, LAST - start)
        due = plan.next_due(self._after) if self._most > 0 else None
        while due is not None and len(self.due) < self._most:
            if due > end:
                self.looked_until = end
                return
            self.due.append(due)
            self.sent.append(plan.sent_at(self._proposed.id, due))
            yield
            due = plan.next_due(due)
