"""Deletes alerts that ended longer ago than the live setting allows."""

from __future__ import annotations

import datetime as dt

from services.kernel.database import Connection, Database
from services.kernel.live_keys import ALERTS_RETENTION
from services.kernel.live_settings import LiveSettings
from services.kernel.retention import Retention
from services.monitor.alerts.store_alerts import delete_alerts_before
from services.monitor.pace import USUAL, Pace


def alert_retention(database: Database, live: LiveSettings, pace: Pace = USUAL) -> Retention:
    return Retention("old_alerts", database, live, ALERTS_RETENTION, _delete, pace)


async def _delete(connection: Connection, age: dt.timedelta, most: int) -> int:
    return await delete_alerts_before(connection, dt.datetime.now(dt.UTC) - age, most)
