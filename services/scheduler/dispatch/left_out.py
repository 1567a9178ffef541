"""Schedules that our own code fails on: each is left out for a time, so that all others are dispatched.

No run of such a schedule is recorded, and its due time stays due. When the code is corrected, the schedule is
dispatched late, by its misfire policy. Each replica keeps its own list, in memory, and tries each schedule
again at intervals.
"""

from __future__ import annotations

import time
from collections.abc import Collection

import structlog

from services.kernel.logged_errors import Loggable, for_log
from services.scheduler.dispatch.metrics import DispatchMetrics

log = structlog.get_logger(__name__)

# With this many schedules left out, the fault is probably not in single schedules.
MOST = 1000
# The most that are tried again before a batch, so that sound schedules wait for no more than these.
TRIED_AT_A_TIME = 10


class OwnFault(Loggable):
    """Our own code fails, and not only on single schedules: nothing can be dispatched for now."""


class LeftOut:
    """The schedules that are left out now."""

    def __init__(self, metrics: DispatchMetrics, seconds: float) -> None:
        """`seconds`: how long a schedule is left out before it is tried again."""
        self._metrics = metrics
        self._seconds = seconds
        # When each schedule is tried again, in seconds of time.monotonic().
        self._again: dict[str, float] = {}

    @property
    def schedule_ids(self) -> Collection[str]:
        return self._again.keys()

    @property
    def full(self) -> bool:
        return len(self._again) >= MOST

    def add(self, schedule_id: str, error: Exception) -> None:
        log.error("schedule.left_out", schedule=schedule_id, error=for_log(error), exc_info=error)
        self._metrics.own_faults.inc()
        if not self.full or schedule_id in self._again:
            self._again[schedule_id] = time.monotonic() + self._seconds
        self._metrics.left_out.set(len(self._again))

    def remove(self, schedule_id: str) -> None:
        """Removes a schedule that was dispatched, or is no longer due."""
        del self._again[schedule_id]
        self._metrics.left_out.set(len(self._again))

    def to_try(self) -> list[str]:
        """Returns the schedules to try again now. Each stays left out until it is removed."""
        now = time.monotonic()
        due = [schedule_id for schedule_id, again in self._again.items() if again <= now][:TRIED_AT_A_TIME]
        for schedule_id in due:
            self._again[schedule_id] = now + self._seconds
        return due
