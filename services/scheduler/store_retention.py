"""The SQL of what is deleted by age."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.scheduler.store_outcomes import SETTINGS

OLD_RUNS = """
    WITH deleted AS (
        DELETE FROM celery_schedule_runs
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM celery_schedule_runs
            WHERE due_at < now() - CAST(:age AS interval) AND state <> 'waiting'
                AND (batch_id IS NULL OR batch_id NOT IN (
                    SELECT id FROM celery_schedule_batches WHERE published_at IS NULL))
                AND (backfill_id IS NULL OR recorded_at < now() - CAST(:age AS interval))
            ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""
# No run is younger than its batch. A while later, when the runs are gone.
OLD_BATCHES = """
    WITH deleted AS (
        DELETE FROM celery_schedule_batches
        WHERE id = ANY (ARRAY(
            SELECT id FROM celery_schedule_batches
            WHERE recorded_at < now() - CAST(:age AS interval) - interval '1 hour'
                AND published_at IS NOT NULL
            ORDER BY recorded_at LIMIT :most FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""


async def delete_old_runs(session: AsyncSession, age: dt.timedelta, most: int) -> int:
    """Runs that were due longer ago than `age` and do not wait, the oldest first.

    A backfilled run is as old as the backfill.
    """
    await session.execute(text(SETTINGS))
    deleted: int = await session.scalar(text(OLD_RUNS), {"age": age, "most": most})
    return deleted


async def delete_old_batches(session: AsyncSession, age: dt.timedelta, most: int) -> int:
    """Batches all of whose runs are old enough to be gone, the oldest first."""
    deleted: int = await session.scalar(text(OLD_BATCHES), {"age": age, "most": most})
    return deleted
