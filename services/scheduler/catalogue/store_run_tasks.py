"""The SQL of what runs have sent, as long as their schedules have not changed since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from services.scheduler.schedule.definition import Task, task_id
from services.scheduler.schedule.rows import TASK_COLUMNS, RowUnreadable, task_of
from services.scheduler.schedule.store_base import Store

# A message that is made later than its run is recorded may be of a newer version, never of an older
# one: so what is found here is what was sent.
UNCHANGED = f"""
    SELECT r.schedule_id, r.due_at, r.task_namespace, {TASK_COLUMNS}
    FROM unnest($1::text[], $2::timestamptz[]) AS wanted (schedule_id, due_at)
    JOIN celery_schedule_runs r USING (schedule_id, due_at)
    JOIN celery_schedules s ON s.id = r.schedule_id AND s.version = r.schedule_version
    WHERE r.state IN ('batched', 'lost')
"""


class RunTask(NamedTuple):
    """What a run has sent, and under which id of a task."""

    schedule_id: str
    due_at: dt.datetime
    task_id: str
    task: Task


class RunTaskStore(Store):
    """Reads on one connection."""

    async def unchanged(self, runs: Sequence[tuple[str, dt.datetime]]) -> list[RunTask]:
        """Returns what was sent by those of the runs (schedule, due time) of which that is known."""
        schedules, due = [schedule for schedule, _ in runs], [each for _, each in runs]
        return list(_readable(await self._connection.fetch(UNCHANGED, schedules, due)))


def _readable(rows: Sequence[Any]) -> Iterator[RunTask]:
    for row in rows:
        run = row["schedule_id"], row["due_at"]
        try:
            yield RunTask(*run, task_id(*run, row["task_namespace"]), task_of(row))
        except RowUnreadable:
            # Somebody has written the schedule by SQL; it sends nothing, either.
            continue
