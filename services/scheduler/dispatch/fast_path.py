"""Fast path: crontabs and intervals that are due on time and use no jitter, bounds or overlap policy.

Nearly all due schedules are of this kind, so this module sets how many runs a second a replica can dispatch.
Each row is read once and by position, and only the columns for the database and the messages are kept. The
decisions are the same as those of `decide`, which takes all other schedules.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from services.kernel.celery_message import content_of, expiry, frame_of
from services.kernel.stored_values import Unreadable
from services.scheduler.dispatch.batches import PendingRun
from services.scheduler.dispatch.decide import IN_TIME
from services.scheduler.schedule.definition import task_id
from services.scheduler.schedule.names import run_id
from services.scheduler.timing.due_times import next_of_crontab, next_of_interval
from services.scheduler.timing.stored import interval_of, zone_of

# The columns that are read by position. The claim selects them before all others.
COLUMNS = (
    "id, next_run_at, args_json, kwargs_json, expires, crontab, interval_seconds, anchor, time_zone,"
    " task_namespace,"
    " task, queue, priority, soft_time_limit, time_limit, headers,"
    " overlap, next_due_at, once_at, solar_event, start_at, end_at, max_runs, jitter_seconds"
)
OWN, FRAME, SPECIAL = slice(0, 10), slice(10, 16), slice(16, 24)
# The values of the SPECIAL columns of a plain schedule.
PLAIN = ("allow", None, None, None, None, None, None, 0)


class InTime:
    """The runs of one batch that take the fast path. The lists have one element for each run."""

    __slots__ = ("_due", "_now", "_oldest", "_run_id", "following", "runs", "schedule_ids")

    def __init__(self, now: dt.datetime) -> None:
        self._now, self._oldest = now, now - IN_TIME
        # The due time of the row before, and what it is called in the name of a run.
        self._due: dt.datetime | None = None
        self._run_id = ""
        self.schedule_ids: list[str] = []
        # The next due times; None: the schedule is never due again.
        self.following: list[dt.datetime | None] = []
        self.runs: list[PendingRun] = []

    def take(self, row: Sequence[Any]) -> bool:
        """Takes a claimed row if it is plain, on time and readable. Returns whether it was taken."""
        (schedule_id, due, args_json, kwargs_json, expires, crontab, interval, anchor, zone, namespace) = row[
            OWN
        ]
        if row[SPECIAL] != PLAIN:
            return False
        # Many schedules are due at the same moment. They share one object, as its hash is computed only once.
        if due == self._due:
            due = self._due
        elif due.tzinfo is None or due < self._oldest:
            # Late, or infinite: somebody has written it by SQL, and asyncpg returns it without a zone.
            return False
        else:
            self._due, self._run_id = due, run_id(due)
        try:
            if crontab is not None:
                following = next_of_crontab(crontab, zone, due)
            else:
                zone_of(zone)
                if anchor.tzinfo is None:
                    return False
                following = next_of_interval(interval_of(interval), anchor, due)
            content, frame = content_of(args_json, kwargs_json), frame_of(*row[FRAME])
            task, run = task_id(schedule_id, due, namespace), f"schedules/{schedule_id}/runs/{self._run_id}"
            message = frame.message(task, content, expiry(expires, due), self._now, run)
        except (Unreadable, OverflowError):
            # `decide` then finds what is wrong with the row, or that the schedule is never due again.
            return False
        self.schedule_ids.append(schedule_id)
        self.following.append(following)
        self.runs.append(PendingRun(schedule_id, due, message, due))
        return True
