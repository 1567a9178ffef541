"""Deletes tasks that are older than the live setting allows, in small batches."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection, Database
from services.kernel.live_keys import TASKS_RETENTION
from services.kernel.live_settings import LiveSettings
from services.kernel.retention import Retention
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.store_tasks import delete_before


def task_retention(database: Database, live: LiveSettings, pace: Pace = USUAL) -> Retention:
    """Returns the loop that deletes tasks of which every event is older than the live setting allows."""
    return Retention("old_tasks", database, live, TASKS_RETENTION, _delete, pace)


async def _delete(connection: Connection, age: dt.timedelta, most: int) -> int:
    return await delete_before(connection, dt.datetime.now(dt.UTC) - age, most)
