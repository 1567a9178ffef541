"""The SQL of runs that wait until no other run of their schedule is going."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from services.scheduler.dispatch.store_batches import DispatchStore
from services.scheduler.runs.overlap import Change, LiveRun
from services.scheduler.schedule.definition import Overlap, RunState
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.rows import TASK_COLUMNS, RowUnreadable, member_of, template_of

LIVE = """
    SELECT schedule_id, due_at, state, reason, published_at, task_namespace
    FROM celery_schedule_runs_seen
    WHERE schedule_id = ANY($1::text[])
        AND exclusive AND outcome IS NULL AND recorded_state IN ('waiting', 'batched')
    ORDER BY schedule_id, due_at
"""
# WITH TIES: the runs that one transaction recorded have the same time.
WAITING = """
    SELECT schedule_id, recorded_at FROM celery_schedule_runs
    WHERE state = 'waiting' AND recorded_at > coalesce($1::timestamptz, '-infinity')
    ORDER BY recorded_at FETCH FIRST $2 ROWS WITH TIES
"""
LOCKED = f"""
    SELECT id, overlap, {TASK_COLUMNS} FROM celery_schedules WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE
"""
CHANGED = """
    UPDATE celery_schedule_runs r
    SET state = CASE WHEN change.state = 'pending' THEN 'batched' ELSE change.state END,
        batch_id = CASE WHEN change.state = 'pending' THEN $5::bigint END, reason = change.reason
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
        AS change (schedule_id, due_at, state, reason)
    WHERE r.schedule_id = change.schedule_id AND r.due_at = change.due_at AND r.state = 'waiting'
"""


class Exclusive(NamedTuple):
    """A schedule with waiting runs. `template` is None, and `fault` tells why, if its row can't be read."""

    id: str
    overlap: Overlap
    template: MessageTemplate | None
    # Its task's hard one, in seconds.
    time_limit: float | None
    fault: str = ""


class WaitingStore(DispatchStore):
    """Waiting runs, on one connection."""

    async def waiting(self, after: dt.datetime | None, least: int) -> tuple[list[str], dt.datetime | None]:
        """Returns schedules with waiting runs that were recorded after a moment (None: at any time), the
        longest waiting first, of at least `least` runs if there are so many.

        The second value is the moment after which there may be more; None when there are no more.
        """
        rows = await self._connection.fetch(WAITING, after, least)
        more_after = rows[-1]["recorded_at"] if len(rows) >= least else None
        return list(dict.fromkeys(row["schedule_id"] for row in rows)), more_after

    async def live(self, schedule_ids: Sequence[str]) -> dict[str, list[LiveRun]]:
        """Returns the schedules' runs that wait, or are not known to have ended, oldest first."""
        found: dict[str, list[LiveRun]] = {}
        for row in await self._connection.fetch(LIVE, schedule_ids):
            schedule_id, due, state, reason, published, namespace = row
            run = LiveRun(schedule_id, due, RunState(state), reason, published, namespace)
            found.setdefault(schedule_id, []).append(run)
        return found

    async def locked(self, schedule_ids: Sequence[str]) -> list[Exclusive]:
        """Locks the schedules: no other replica dispatches or decides on them until the transaction ends."""
        return [_exclusive(row) for row in await self._connection.fetch(LOCKED, schedule_ids)]

    async def change(self, changes: Sequence[Change], batch_id: int) -> None:
        """Records the changes. Runs that may go get the batch."""
        rows = [(each.run.schedule_id, each.run.due_at, each.state.value, each.reason) for each in changes]
        await self._connection.execute(CHANGED, *map(list, zip(*rows, strict=True)), batch_id)


def _exclusive(row: asyncpg.Record) -> Exclusive:
    try:
        overlap, template = member_of(Overlap, row, "overlap"), template_of(row)
        return Exclusive(row["id"], overlap, template, row["time_limit"])
    except RowUnreadable as error:
        return Exclusive(row["id"], Overlap.ALLOW, None, None, str(error))
