"""Deletes repaired gaps that are older than tasks are kept, in small batches."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection, Database
from services.kernel.live_keys import TASKS_RETENTION
from services.kernel.live_settings import LiveSettings
from services.kernel.retention import Retention
from services.monitor.gaps.store_gaps import delete_gaps_before
from services.monitor.pace import USUAL, Pace


def gap_retention(database: Database, live: LiveSettings, pace: Pace = USUAL) -> Retention:
    """Returns the loop that deletes gaps as old as tasks that are deleted."""
    return Retention("old_event_gaps", database, live, TASKS_RETENTION, _delete, pace)


async def _delete(connection: Connection, age: dt.timedelta, most: int) -> int:
    return await delete_gaps_before(connection, dt.datetime.now(dt.UTC) - age, most)
