"""The SQL of what is deleted by age."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

OLD_RUNS = """
    WITH deleted AS (
        DELETE FROM celery_schedule_runs
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM celery_schedule_runs
            WHERE due_at < now() - CAST(:age AS interval) AND state NOT IN ('pending', 'waiting')
                AND (backfill_id IS NULL OR recorded_at < now() - CAST(:age AS interval))
            ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
        ))
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""


async def delete_old_runs(session: AsyncSession, age: dt.timedelta, most: int) -> int:
    """Runs that were due longer ago than `age` and do not wait, the oldest first.

    A backfilled run is as old as the backfill.
    """
    deleted: int = await session.scalar(text(OLD_RUNS), {"age": age, "most": most})
    return deleted
