"""Schedules that our own code fails on: each is left out for a while, and all others go on.

Nothing of such a schedule is recorded, and its due time stays due: once the code is mended it is dispatched,
late, as its misfire policy says. Each replica has its own, in memory, and tries each again after a while.
"""

from __future__ import annotations

import time
from collections.abc import Collection

import structlog

from services.kernel.logged_errors import Loggable, for_log
from services.scheduler.dispatch.metrics import DispatchMetrics

log = structlog.get_logger(__name__)

# With so many, the fault is hardly one of single schedules.
MOST = 1000
# Tried again at a time: those that are sound do not wait for more.
TRIED_AT_A_TIME = 10


class OwnFault(Loggable):
    """Our own code fails, and not on single schedules alone: nothing can be dispatched for now."""


class LeftOut:
    """The schedules that are left out now."""

    def __init__(self, metrics: DispatchMetrics, seconds: float) -> None:
        """Each is tried again after so many seconds."""
        self._metrics = metrics
        self._seconds = seconds
        # When each is tried again, by the monotonic clock.
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
        """It was dispatched, or is not due any more."""
        del self._again[schedule_id]
        self._metrics.left_out.set(len(self._again))

    def to_try(self) -> list[str]:
        """Those whose time to be tried again has come. Until one is removed, it stays left out."""
        now = time.monotonic()
        due = [schedule_id for schedule_id, again in self._again.items() if again <= now][:TRIED_AT_A_TIME]
        for schedule_id in due:
            self._again[schedule_id] = now + self._seconds
        return due
