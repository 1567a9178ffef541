"""What is due in time and has nothing special about it: nearly all that comes, in columns.

How many runs a second a replica records and sends is decided here. So a row is read by position, is looked at
once, and leaves nothing behind but what is written to the database and to the broker. What it decides is what
`decide` would; whatever is not plain is left to that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from services.scheduler.dispatch.batches import PendingRun
from services.scheduler.dispatch.decide import IN_TIME
from services.scheduler.schedule.celery_message import content_of, expiry, frame_of
from services.scheduler.schedule.definition import task_id
from services.scheduler.timing.due_times import next_of_crontab, next_of_interval
from services.scheduler.timing.stored import Unreadable, interval_of, zone_of

# The columns that are read by position, first of all that are claimed.
COLUMNS = (
    "id, next_run_at, args_json, kwargs_json, expires, crontab, interval_seconds, anchor, time_zone,"
    " task, queue, priority, soft_time_limit, time_limit, headers,"
    " overlap, next_due_at, once_at, solar_event, start_at, end_at, max_runs, jitter_seconds"
)
OWN, FRAME, SPECIAL = slice(0, 9), slice(9, 15), slice(15, 23)
# The special columns of a schedule that has nothing special.
PLAIN = ("allow", None, None, None, None, None, None, 0)


class InTime:
    """The plain runs of one batch. `schedule_ids`, `following` and `runs` are columns of one length."""

    __slots__ = ("_due", "_now", "_oldest", "following", "runs", "schedule_ids")

    def __init__(self, now: dt.datetime) -> None:
        self._now, self._oldest = now, now - IN_TIME
        self._due: dt.datetime | None = None
        self.schedule_ids: list[str] = []
        # When each is due next; None: never again.
        self.following: list[dt.datetime | None] = []
        self.runs: list[PendingRun] = []

    def take(self, row: Sequence[Any]) -> bool:
        """Takes a claimed row, if it is plain, in time and can be read; tells whether it has."""
        schedule_id, due, args_json, kwargs_json, expires, crontab, interval, anchor, zone = row[OWN]
        if row[SPECIAL] != PLAIN:
            return False
        # Many are due at one moment: as one object it is hashed once, by all that look it up.
        if due == self._due:
            due = self._due
        elif due.tzinfo is None or due < self._oldest:
            # Late; or infinite, which somebody has written by SQL, and asyncpg gives without a zone.
            return False
        else:
            self._due = due
        try:
            if crontab is not None:
                following = next_of_crontab(crontab, zone, due)
            else:
                zone_of(zone)
                if anchor.tzinfo is None:
                    return False
                following = next_of_interval(interval_of(interval), anchor, due)
            content, frame = content_of(args_json, kwargs_json), frame_of(*row[FRAME])
            message = frame.message(task_id(schedule_id, due), content, expiry(expires, due), self._now)
        except (Unreadable, OverflowError):
            # What is wrong with it, or that it is never due again, is found when it is decided on by itself.
            return False
        self.schedule_ids.append(schedule_id)
        self.following.append(following)
        self.runs.append(PendingRun(schedule_id, due, message, due))
        return True
