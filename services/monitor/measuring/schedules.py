"""Whether the scheduler sends what is due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from services.monitor.measuring.measures import Values, whole
from services.monitor.system.next_runs import NextRuns

# Schedules that are looked at: the first of them may be late by their jitter alone.
MOST_SCHEDULES = 20


class ScheduleMeasures:
    """Asks the scheduler for the schedules that are due first: in the future, while it is not late."""

    def __init__(self, next_runs: NextRuns) -> None:
        self._next_runs = next_runs

    async def read(self) -> Mapping[str, Values]:
        """Raises `Unavailable` while the scheduler is away: then it is not known."""
        found, now = await self._next_runs.soonest(MOST_SCHEDULES), dt.datetime.now(dt.UTC)
        late = max(((now - run.due_at - run.jitter).total_seconds() for run in found), default=0.0)
        return {"scheduler_late_seconds": whole(max(0.0, late))}
