"""Measures of tasks that ended, from the totals of all monitors.

All monitors count the same events, and one writes them down. So the totals tell the same at each, also of the
time in which another wrote; they include what was found out after a gap. Runtimes by name are in no totals:
those are of the events that this monitor has heard.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.monitor.figures import Figures
from services.monitor.measuring.measures import WINDOW_SECONDS, Values, whole
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.tally import NamedCounts
from services.monitor.totals.totals import Totals

# Totals that were read longer ago are not measured: the database is away.
STALE_SECONDS = 2.0
# Readings come at a steady pace; one that is older than the window by more than this is none of it.
TOLERANCE_SECONDS = 5.0
NONE = NamedCounts(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Run:
    """How many tries ended, and for how many seconds they ran in all."""

    count: int
    seconds: float

    def mean_since(self, before: Run) -> float | None:
        """Returns the mean of those since then; None if there were none."""
        count = self.count - before.count
        return max(0.0, self.seconds - before.seconds) / count if count > 0 else None


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts at one moment. `runs`: of all tasks; `runs_by_name`: of those that succeeded, by their name."""

    at: float
    by_name: Mapping[str, NamedCounts]
    runs: Run
    runs_by_name: Mapping[str, Run]
    orphaned: int
    lost: int


class TaskMeasures:
    """`collects`: whether events of tasks are taken in; `now`: seconds of a monotonic clock."""

    def __init__(
        self,
        totals: Totals,
        figures: Figures,
        collects: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._totals = totals
        self._figures = figures
        self._collects = collects
        self._now = now
        # The readings of the last WINDOW_SECONDS, oldest first.
        self._window: deque[Counted] = deque()

    async def read(self) -> Mapping[str, Values]:
        await self._totals.refresh()
        now = self._now()
        while self._window and now - self._window[0].at > WINDOW_SECONDS + TOLERANCE_SECONDS:
            self._window.popleft()
        if now - self._totals.read_at > STALE_SECONDS or not self._collects():
            return {}
        counted = self._counted(now)
        found: dict[str, Values] = {}
        if self._window:
            found |= _since(self._window[0], counted)
            found |= _rates(self._window[-1], counted)
        self._window.append(counted)
        return found

    def _counted(self, now: float) -> Counted:
        tries = self._totals.durations().values()
        vanished = {TaskState.ORPHANED: 0, TaskState.LOST: 0}
        for _, state, count in self._totals.tasks():
            if state in vanished:
                vanished[state] += count
        return Counted(
            now,
            self._totals.named(),
            Run(sum(sum(each.counts) for each in tries), sum(each.total for each in tries)),
            {
                name: Run(int(each.runtimes.count), each.runtimes.sum)
                for name, each in self._figures.by_task.items()
            },
            vanished[TaskState.ORPHANED],
            vanished[TaskState.LOST],
        )


def _since(first: Counted, last: Counted) -> dict[str, Values]:
    """Returns the measures of the window."""
    percents: dict[str, float] = {}
    succeeded = failed = 0
    for name, counts in last.by_name.items():
        before = first.by_name.get(name, NONE)
        good, bad = counts.succeeded - before.succeeded, counts.failed - before.failed
        if good + bad > 0:
            percents[name] = 100.0 * good / (good + bad)
        succeeded, failed = succeeded + good, failed + bad
    found: dict[str, Values] = {
        "task_success_percent": percents,
        "task_mean_runtime_seconds": {
            name: mean
            for name, runs in last.runs_by_name.items()
            if (mean := runs.mean_since(first.runs_by_name.get(name, Run(0, 0.0)))) is not None
        },
        "tasks_orphaned": whole(last.orphaned - first.orphaned),
        "tasks_lost": whole(last.lost - first.lost),
    }
    # It is known that nothing has ended: then there is no share and no mean.
    ended, mean = succeeded + failed, last.runs.mean_since(first.runs)
    found["success_percent"] = whole(100.0 * succeeded / ended) if ended > 0 else {}
    found["mean_runtime_seconds"] = {} if mean is None else whole(mean)
    return found


def _rates(before: Counted, now: Counted) -> dict[str, Values]:
    """Returns tasks a second since the reading before, by name."""
    seconds = now.at - before.at
    pairs = [(name, counts, before.by_name.get(name, NONE)) for name, counts in now.by_name.items()]
    return {
        f"task_{part}_per_second": {
            name: (getattr(counts, part) - getattr(earlier, part)) / seconds
            for name, counts, earlier in pairs
        }
        for part in ("succeeded", "failed", "retried")
    }
