"""Tasks are kept for some days, then forgotten, a little at a time."""

from __future__ import annotations

import datetime as dt

from services.kernel.config_keys import TASKS_RETENTION
from services.kernel.database import Connection, Database
from services.kernel.live_settings import LiveSettings
from services.kernel.retention import Retention
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.store_tasks import delete_before


def task_retention(database: Database, live: LiveSettings, pace: Pace = USUAL) -> Retention:
    """Deletes tasks whose events are all older than the live setting says."""
    return Retention("old_tasks", database, live, TASKS_RETENTION, _delete, pace)


async def _delete(connection: Connection, age: dt.timedelta, most: int) -> int:
    return await delete_before(connection, dt.datetime.now(dt.UTC) - age, most)
