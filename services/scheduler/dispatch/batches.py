"""Runs that are recorded together, and published in one atomic step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from services.scheduler.schedule.celery_message import Message, MessageTemplate
from services.scheduler.schedule.definition import task_id
from services.scheduler.timing.plan import NO_TIME


class BatchKey(NamedTuple):
    """Names a batch. An older copy of the database would give the number again, and not the time with it."""

    id: int
    recorded_at: dt.datetime

    @property
    def mark(self) -> str:
        """What the broker knows it by."""
        return f"{self.id}-{int(self.recorded_at.timestamp() * 1e6)}"


class PendingRun(NamedTuple):
    """A run that is recorded, and not known to be published, with the message to publish."""

    schedule_id: str
    due: dt.datetime
    message: Message
    # When its message was to be on the queue: what jitter adds to the due time is not late. None: whenever.
    wanted_at: dt.datetime | None


class Batch(NamedTuple):
    """All runs of a batch that can be published."""

    key: BatchKey
    runs: Sequence[PendingRun]


def written(
    schedule_id: str,
    template: MessageTemplate,
    due: dt.datetime,
    now: dt.datetime,
    jitter: dt.timedelta = NO_TIME,
    *,
    backfilled: bool = False,
) -> PendingRun:
    """A run with its message. `now`: when its schedule was read, by the database's clock.

    `jitter` is what that added to the due time. The time to expire of a backfilled run counts from now.
    """
    message = template.message(task_id(schedule_id, due), now if backfilled else due, now)
    return PendingRun(schedule_id, due, message, None if backfilled else due + jitter)
