"""The SQL of the history of schedules, which triggers write (migration 0024), and of the runs of a window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from services.kernel.database import Connection
from services.scheduler.explain.history import FIELDS, EditKind, History, Revision
from services.scheduler.schedule.definition import Run
from services.scheduler.schedule.rows import Row, RowUnreadable, plan_of, run_of
from services.scheduler.schedule.store_base import Store

# The most revisions that are read. What a schedule was before them counts as not known.
MOST_REVISIONS = 100
REVISIONS = """
    SELECT h.kind, h.actor, h.fields, h.since, h.until, was.*
    FROM (
        SELECT *, lead(since) OVER (ORDER BY number) AS until
        FROM celery_schedule_history WHERE schedule_id = $1
    ) AS h, LATERAL jsonb_populate_record(
        NULL::celery_schedules, h.definition || jsonb_build_object('id', h.schedule_id)) AS was
    WHERE h.until IS NULL OR h.until > $2
    ORDER BY h.number DESC LIMIT $3
"""
RUNS = """
    SELECT * FROM celery_schedule_runs_seen
    WHERE schedule_id = $1 AND due_at <= $2
    ORDER BY due_at DESC LIMIT $3
"""
OLD = """
    WITH deleted AS (
        DELETE FROM celery_schedule_history
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM celery_schedule_history former
            WHERE since < now() - $1::interval AND EXISTS (
                SELECT FROM celery_schedule_history later
                WHERE later.schedule_id = former.schedule_id AND later.number > former.number
                    AND later.since < now() - $1::interval)
            ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""


class RecordedRun(NamedTuple):
    """A run, and when it was recorded."""

    run: Run
    recorded_at: dt.datetime


class HistoryStore(Store):
    """What a schedule was, and its runs, on one connection."""

    async def history(self, schedule_id: str, since: dt.datetime) -> History:
        """Returns the revisions that held at `since` or later, MOST_REVISIONS at most."""
        rows = await self._connection.fetch(REVISIONS, schedule_id, since, MOST_REVISIONS)
        return History([_revision(row) for row in rows])

    async def runs(self, schedule_id: str, until: dt.datetime, most: int) -> Sequence[RecordedRun]:
        """Returns the newest runs that were due by then, the newest first."""
        rows = await self._connection.fetch(RUNS, schedule_id, until, most)
        return [RecordedRun(run_of(row), row["recorded_at"]) for row in rows]


def _revision(row: Row) -> Revision:
    plan, fault = None, ""
    try:
        plan = plan_of(row)
    except RowUnreadable as error:
        fault = str(error)
    return Revision(
        since=row["since"],
        until=row["until"],
        kind=_kind(row),
        actor=row["actor"],
        fields=list(dict.fromkeys(FIELDS.get(column, column) for column in row["fields"])),
        plan=plan,
        fault=fault,
        paused=row["paused"],
        pause_note=row["pause_note"],
        queue=row["queue"],
    )


def _kind(row: Row) -> EditKind | None:
    if row["kind"] == "found":
        return None
    if row["kind"] == "created":
        return EditKind.CREATED
    if "paused" in row["fields"]:
        return EditKind.PAUSED if row["paused"] else EditKind.RESUMED
    return EditKind.UPDATED


async def delete_old_history(connection: Connection, age: dt.timedelta, most: int) -> int:
    """Deletes up to `most` revisions that ended longer ago than `age`, the oldest first. Returns how many.

    What a schedule is now is kept, whatever its age.
    """
    deleted: int = await connection.fetchval(OLD, age, most)
    return deleted
