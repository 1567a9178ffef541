"""Tasks are kept for some days, then forgotten, a little at a time."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.config_keys import TASKS_RETENTION
from services.kernel.database import Database
from services.kernel.live_settings import LiveSettings
from services.kernel.retention import Retention
from services.monitor.store_tasks import TaskStore


def task_retention(database: Database, live: LiveSettings) -> Retention:
    """Deletes tasks whose events are all older than the live setting says."""
    return Retention(database, live, TASKS_RETENTION, _delete)


async def _delete(session: AsyncSession, age: dt.timedelta, most: int) -> int:
    return await TaskStore(session).delete_before(dt.datetime.now(dt.UTC) - age, most)
