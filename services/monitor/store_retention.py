"""The SQL of what is deleted by age."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# By the time of the first event, which has the index; a task that is still heard of stays.
OLD_TASKS = """
    WITH deleted AS (
        DELETE FROM celery_task_results_ext
        WHERE id IN (
            SELECT id FROM celery_task_results_ext
            WHERE heard_at < now() - CAST(:age AS interval) AND updated_at < now() - CAST(:age AS interval)
            ORDER BY heard_at LIMIT :most FOR UPDATE SKIP LOCKED
        )
        RETURNING 1
    )
    SELECT count(*) FROM deleted
"""


async def delete_old_tasks(session: AsyncSession, age: dt.timedelta, most: int) -> int:
    """Tasks that were last heard of longer ago than `age`, the oldest first."""
    deleted: int = await session.scalar(text(OLD_TASKS), {"age": age, "most": most})
    return deleted
