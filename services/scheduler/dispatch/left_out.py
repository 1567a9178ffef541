"""Schedules that our own code fails on: each is left out for a time, so that the work on all others is done.

Dispatching records no run of such a schedule, and its due time stays due. When the code is corrected, the
schedule is dispatched late, by its misfire policy. Healing, backfills, and the decisions on runs that wait
leave schedules out likewise. Each of these loops keeps its own list, in memory on each replica, and tries
each schedule again at intervals.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeAlias, TypeVar

import structlog

from services.kernel.logged_errors import Loggable, for_log
from services.scheduler.dispatch.metrics import DispatchMetrics

log = structlog.get_logger(__name__)

# With this many schedules left out, the fault is probably not in single schedules.
MOST = 1000
# The most that are tried again before a batch, so that sound schedules wait for no more than these.
TRIED_AT_A_TIME = 10


Result = TypeVar("Result")
# Does its work on these schedules; returns the exception that our own code raised, None if it raised none.
Attempt: TypeAlias = Callable[[Sequence[str]], Awaitable[Exception | None]]


class OwnFault(Loggable):
    """Our own code fails, and not only on single schedules: nothing can be done for now."""

    def __init__(self) -> None:
        super().__init__("the scheduler's own code fails, and not on single schedules")


def made(make: Callable[[], Result]) -> Result | Exception:
    """Returns what is made, or the exception that our own code raised."""
    try:
        return make()
    except Exception as error:
        return error


async def tried(work: Awaitable[Result], passing: tuple[type[Exception], ...]) -> Result | Exception:
    """Returns the result, or the exception that our own code raised; raises the exceptions in `passing`."""
    try:
        return await work
    except passing:
        raise
    except Exception as error:
        return error


class LeftOut:
    """The schedules that are left out now; of healing: the batches, each of one schedule."""

    def __init__(self, metrics: DispatchMetrics, seconds: float, what: str = "schedule") -> None:
        """`seconds`: how long a schedule is left out before it is tried again. `what`: for the log."""
        self._metrics = metrics
        self._seconds = seconds
        self._what = what
        # When each schedule is tried again, in seconds of time.monotonic().
        self._again: dict[str, float] = {}

    @property
    def schedule_ids(self) -> Collection[str]:
        return self._again.keys()

    @property
    def full(self) -> bool:
        return len(self._again) >= MOST

    def check(self) -> None:
        """Raises `OwnFault` when so many are left out that the fault is probably not in single schedules."""
        if self.full:
            raise OwnFault

    def add(self, schedule_id: str, error: Exception) -> None:
        about = {self._what: schedule_id}
        log.error(f"{self._what}.left_out", **about, error=for_log(error), exc_info=error)
        self._metrics.own_faults.inc()
        if schedule_id not in self._again:
            if self.full:
                return
            self._metrics.left_out.inc()
        self._again[schedule_id] = time.monotonic() + self._seconds

    def remove(self, schedule_id: str) -> None:
        """Removes a schedule on which the work was done, or has no longer to be done."""
        if self._again.pop(schedule_id, None) is not None:
            self._metrics.left_out.dec()

    def to_try(self) -> list[str]:
        """Returns the schedules to try again now. Each stays left out until it is removed."""
        now = time.monotonic()
        due = [schedule_id for schedule_id, again in self._again.items() if again <= now][:TRIED_AT_A_TIME]
        for schedule_id in due:
            self._again[schedule_id] = now + self._seconds
        return due

    async def apart(self, ids: Sequence[str], attempt: Attempt) -> bool:
        """Attempts these schedules; if our code fails on them, halves them until the culprits are found.

        Each culprit is left out. Returns whether the first attempt, with all of them, succeeded.
        """
        failed = await attempt(ids)
        if failed is None:
            return True
        if len(ids) == 1:
            self.add(ids[0], failed)
            return False
        middle = len(ids) // 2
        await self.apart(ids[:middle], attempt)
        await self.apart(ids[middle:], attempt)
        return False

    async def try_again(self, attempt: Attempt) -> None:
        """Attempts each schedule whose time has come, by itself. It is left out no more if that succeeds."""
        for schedule_id in self.to_try():
            if await self.apart([schedule_id], attempt):
                self.remove(schedule_id)
