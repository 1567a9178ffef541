"""The SQL that deletes old runs and batches."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection
from services.scheduler.runs.store_outcomes import SETTINGS

OLD_RUNS = """
    WITH deleted AS (
        DELETE FROM celery_schedule_runs
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM celery_schedule_runs
            WHERE due_at < now() - $1::interval AND state <> 'waiting'
                AND (batch_id IS NULL OR batch_id NOT IN (
                    SELECT id FROM celery_schedule_batches WHERE published_at IS NULL))
                AND (backfill_id IS NULL OR recorded_at < now() - $1::interval)
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""
# No run was due after its batch was recorded; with an hour added, the runs of a batch are deleted before it.
OLD_BATCHES = """
    WITH deleted AS (
        DELETE FROM celery_schedule_batches
        WHERE id = ANY (ARRAY(
            SELECT id FROM celery_schedule_batches
            WHERE recorded_at < now() - $1::interval - interval '1 hour'
                AND published_at IS NOT NULL
            ORDER BY recorded_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""


async def delete_old_runs(connection: Connection, age: dt.timedelta, most: int) -> int:
    """Deletes up to `most` runs that were due longer ago than `age`, the oldest first. Returns how many.

    Waiting and pending runs are kept. A backfilled run counts from when it was recorded.
    """
    await connection.execute(SETTINGS)
    deleted: int = await connection.fetchval(OLD_RUNS, age, most)
    return deleted


async def delete_old_batches(connection: Connection, age: dt.timedelta, most: int) -> int:
    """Deletes up to `most` published batches whose runs are old enough to be gone, the oldest first.

    Returns how many.
    """
    deleted: int = await connection.fetchval(OLD_BATCHES, age, most)
    return deleted
