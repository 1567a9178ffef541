"""Batches: runs that are recorded in one transaction and published in one atomic step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from services.kernel.celery_message import Message
from services.scheduler.schedule.definition import task_id
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.names import run_name
from services.scheduler.timing.plan import NO_TIME


class BatchKey(NamedTuple):
    """Identifies a batch.

    The id alone would not do: a database restored from a backup gives the same ids again, at other times.
    """

    id: int
    recorded_at: dt.datetime

    @property
    def mark(self) -> str:
        """The name of the batch's mark on the broker."""
        return f"{self.id}-{int(self.recorded_at.timestamp() * 1e6)}"


class PendingRun(NamedTuple):
    """A recorded run that may not be published yet, with its message."""

    schedule_id: str
    due: dt.datetime
    message: Message
    # The time from which lateness is measured: the due time plus jitter. None: lateness is not measured.
    wanted_at: dt.datetime | None


class Batch(NamedTuple):
    """A batch with those of its runs that can be published."""

    key: BatchKey
    runs: Sequence[PendingRun]
    # The schedules and due times of runs whose messages our own code can't make, by task id.
    left_out: Mapping[str, tuple[str, dt.datetime]] = MappingProxyType({})

    @property
    def keys(self) -> dict[str, tuple[str, dt.datetime]]:
        """The schedules and due times of all its runs, by task id."""
        made = {run.message.task_id: (run.schedule_id, run.due) for run in self.runs}
        return {**made, **self.left_out}


def written(
    schedule_id: str,
    template: MessageTemplate,
    due: dt.datetime,
    now: dt.datetime,
    jitter: dt.timedelta = NO_TIME,
    *,
    namespace: bytes | None,
    backfilled: bool = False,
    call_id: str = "",
) -> PendingRun:
    """Returns a run with its message. `now`: when its schedule was read, by the database's clock.

    `jitter` is the delay that jitter adds to this due time; `namespace` is that of the task id, as recorded
    with the run. The expiry of a run counts from its due time, that of a backfilled run from `now`.
    `call_id`: the request id of the call that asked for the run, empty if none did.
    """
    task = task_id(schedule_id, due, namespace)
    expires_from = now if backfilled else due
    message = template.message(task, expires_from, now, run_name(schedule_id, due), call_id)
    return PendingRun(schedule_id, due, message, None if backfilled else due + jitter)
