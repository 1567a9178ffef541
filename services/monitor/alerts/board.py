"""The alerts that fire, as this monitor shows them, kept up to date from the table."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.silence import Silence, silenced
from services.monitor.alerts.store_alerts import AlertStore
from services.monitor.alerts.store_silences import SilenceStore
from services.monitor.pace import USUAL, Pace


class Board:
    """`on_change` gets each alert that began, ended, or was acknowledged, silenced or not delivered."""

    def __init__(self, database: Database, on_change: Callable[[Alert], None], pace: Pace = USUAL) -> None:
        self._database = database
        self._on_change = on_change
        self._firing: Mapping[int, Alert] = {}
        self._silences: Sequence[Silence] = ()
        self.woken = asyncio.Event()
        self.loop = Loop(
            "alerts_follow",
            self.look,
            every=pace.alerts_follow,
            outlives=DATABASE_ERRORS,
            failed="alerts.not_read",
            woken=self.woken,
        )

    @property
    def firing(self) -> Sequence[Alert]:
        """The most severe first, then those that began last."""
        return sorted(
            self._firing.values(),
            key=lambda alert: (alert.severity.rank, alert.fired_at, alert.id),
            reverse=True,
        )

    def silenced(self, alert: Alert) -> Alert:
        """Returns the alert with what is known of silences."""
        return silenced(alert, self._holding()) if alert.fires else alert

    async def look(self) -> None:
        """Reads the table, and tells what has changed."""
        async with self._database.reading() as connection:
            store = AlertStore(connection)
            firing = {alert.id: alert for alert in await store.firing()}
            self._silences = await SilenceStore(connection).holding()
            gone = [alert_id for alert_id in self._firing if alert_id not in firing]
            ended = await store.some(gone) if gone else []
        before, self._firing = self._firing, {key: self.silenced(alert) for key, alert in firing.items()}
        for alert in self._firing.values():
            if _told(alert) != _told(before.get(alert.id)):
                self._on_change(alert)
        for alert in ended:
            self._on_change(alert)

    def _holding(self) -> Sequence[Silence]:
        now = dt.datetime.now(dt.UTC)
        return [silence for silence in self._silences if silence.until > now]


def _told(alert: Alert | None) -> object:
    """What makes a change that readers are told of; new values alone do not."""
    return None if alert is None else (alert.version, alert.silenced_until, alert.undelivered)
