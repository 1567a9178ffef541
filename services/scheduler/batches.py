"""Runs that are recorded together, and published in one atomic step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from services.scheduler.messages import Letterhead, Message
from services.scheduler.plan import NO_TIME
from services.scheduler.schedules import task_id


class BatchKey(NamedTuple):
    """Names a batch. An older copy of the database would give the number again, and not the time with it."""

    id: int
    recorded_at: dt.datetime

    @property
    def mark(self) -> str:
        """What the broker knows it by."""
        return f"{self.id}-{int(self.recorded_at.timestamp() * 1e6)}"


class PendingRun(NamedTuple):
    """A run that is committed, and not known to be published."""

    schedule_id: str
    letterhead: Letterhead
    due: dt.datetime
    # What jitter added to the due time; no lateness.
    jitter: dt.timedelta = NO_TIME
    # Its time to expire counts from the sending, and it is not late.
    backfilled: bool = False


class Batch(NamedTuple):
    """All runs of a batch that can be published. `read_at`: when they were read, by the database's clock."""

    key: BatchKey
    runs: Sequence[PendingRun]
    read_at: dt.datetime

    def messages(self) -> list[Message]:
        read_at = self.read_at
        return [
            run.letterhead.message(
                task_id(run.schedule_id, run.due), read_at if run.backfilled else run.due, read_at
            )
            for run in self.runs
        ]
