"""Which due times of a timing count, when each is sent, and what becomes of missed ones. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from enum import Enum
from typing import NamedTuple

from services.scheduler.timing.due_times import Timing, next_due

NO_TIME = dt.timedelta(0)
JUST_BEFORE = dt.timedelta(microseconds=1)
# The last moment that there is.
END = dt.datetime.max.replace(tzinfo=dt.UTC)


class Bounds(NamedTuple):
    """The first and last moments at which a schedule may be due, and how many of its due times are run."""

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    max_runs: int | None = None

    def allow(self, due: dt.datetime) -> bool:
        return (self.start is None or self.start <= due) and (self.end is None or due <= self.end)


class MisfireAction(Enum):
    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_EACH = "run_each"


class Misfire(NamedTuple):
    """What is done about missed due times that are within the window before now; older ones are skipped."""

    action: MisfireAction = MisfireAction.RUN_ONCE
    window: dt.timedelta = dt.timedelta(hours=1)


UNBOUNDED = Bounds()
ONCE_WITHIN_AN_HOUR = Misfire()


class Plan(NamedTuple):
    """Everything that decides when a schedule runs."""

    timing: Timing
    bounds: Bounds = UNBOUNDED
    jitter: dt.timedelta = NO_TIME
    misfire: Misfire = ONCE_WITHIN_AN_HOUR

    def next_due(self, after: dt.datetime) -> dt.datetime | None:
        """Returns the first due time after `after` within the bounds; None when there is no more."""
        if self.bounds is UNBOUNDED:
            return next_due(self.timing, after)
        start, end, _ = self.bounds
        if start is not None and after < start:
            after = start - JUST_BEFORE
        due = next_due(self.timing, after)
        return None if due is None or (end is not None and due > end) else due

    def sent_at(self, schedule_id: str, due: dt.datetime) -> dt.datetime:
        """Returns when a due time is sent: up to `jitter` later, but before the next due time.

        The delay, in whole milliseconds, is a hash of the schedule's id and the due time, so every call on
        every replica returns the same moment.
        """
        if not self.jitter:
            return due
        following = next_due(self.timing, due)
        span = min(self.jitter, (following or END) - due)
        digest = hashlib.sha1(f"{schedule_id}@{due.timestamp()}".encode(), usedforsecurity=False).digest()
        milliseconds = span // dt.timedelta(milliseconds=1)
        share = int.from_bytes(digest[:8], "big") * milliseconds >> 64
        return due + dt.timedelta(milliseconds=share)

    def latest_due(self, schedule_id: str, due: dt.datetime, moment: dt.datetime) -> dt.datetime:
        """Returns the last due time that was to be sent by `moment`. `due` must be such a due time."""
        latest = self.last_due(due, moment)
        if latest > due and self.sent_at(schedule_id, latest) > moment:
            # It is to be sent after `moment`. The one before it was to be sent before this one is due.
            latest = self.last_due(due, latest - JUST_BEFORE)
        return latest

    def last_due(self, due: dt.datetime, moment: dt.datetime) -> dt.datetime:
        """Returns the last due time up to `moment`, found by bisection. `due` must not be after `moment`."""
        low, high = due, moment
        following = self.next_due(low)
        if following is None or following > moment:
            return low
        # With equal intervals, the last due time is at most one interval before `moment`.
        middle = max(low, moment - (following - low))
        while low < high:
            found = self.next_due(middle)
            if found is None or found > moment:
                high = middle
            else:
                low = found
                following = self.next_due(low)
                if following is None or following > moment:
                    return low
            middle = low + (high - low) / 2
        return low
