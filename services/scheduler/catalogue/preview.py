"""The coming due times of a schedule, found step by step. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from services.scheduler.schedule.definition import Definition
from services.scheduler.timing.due_times import ClockEffect, clock_effect

# How far ahead due times are looked for: 400 years, after which the calendar repeats itself, weekdays and
# leap years included. Near a pole, with one sunrise a year, that is 400 searches of a millisecond or two.
LOOKED_AHEAD = dt.timedelta(days=146_097)
LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


class Preview:
    """The first `most` due times after a moment, as if nothing paused the schedule."""

    def __init__(self, proposed: Definition, after: dt.datetime, run_count: int, most: int) -> None:
        """`run_count`: the number of runs that the schedule has had, which count towards its max_runs."""
        self._proposed = proposed
        self._after = after
        limit = proposed.bounds.max_runs
        self._most = most if limit is None else min(most, limit - run_count)
        self.due: list[dt.datetime] = []
        # When each of them is sent: its due time plus jitter.
        self.sent: list[dt.datetime] = []
        # What changes of the clocks have to do with them; without those that they have nothing to do with.
        self.effects: dict[dt.datetime, ClockEffect] = {}
        # Set to the end of the search when that ended before `most` were found: there may be more after it.
        self.looked_until: dt.datetime | None = None

    def steps(self) -> Iterator[None]:
        """Finds one due time in each step, which takes a few milliseconds at most."""
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
            if effect := clock_effect(plan.timing, due):
                self.effects[due] = effect
            yield
            due = plan.next_due(due)
