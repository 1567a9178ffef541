"""Sends what channels are to be told, from the table in which that waits; the monitor that writes does so.

What waits for a channel is sent in one message. A channel gets at most one in `pace.alerts_calm` seconds,
so that a hundred alerts in a minute are two messages. A message that the channel does not take is tried
again, ever more seldom, for 24 hours. If the monitor ends between the sending and the note of it, the
message is sent again: at least once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

import structlog

from services.kernel.database import Database
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.alerts import sending
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.channels import Channel, Channels
from services.monitor.alerts.messages import body_of, kind_of, title_of
from services.monitor.alerts.silence import Silence, silenced
from services.monitor.alerts.store_alerts import AlertStore
from services.monitor.alerts.store_deliveries import Delivery, DeliveryStore
from services.monitor.alerts.store_silences import SilenceStore
from services.monitor.measuring.measures import Values, whole
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# The longest pause after a failure.
LONGEST_RETRY_SECONDS = 15 * 60.0
NO_CHANNEL = "the file has no channel of this name"

Send = Callable[[Channel, str, str, str], Awaitable[str]]


class Delivering:
    """`undelivered`: how many messages of the last day a channel did not take; None before the first look."""

    def __init__(
        self,
        database: Database,
        channels: Channels,
        writes: Callable[[], bool],
        told: Callable[[], None],
        zone: ZoneInfo,
        pace: Pace = USUAL,
        send: Send = sending.send,
    ) -> None:
        self._database = database
        self._channels = channels
        self._writes = writes
        self._told = told
        self._zone = zone
        self._send = send
        self._calm = dt.timedelta(seconds=pace.alerts_calm)
        self._first_retry = pace.alerts_retry
        self._idle = Again(pace.alerts_deliver_idle, early=True)
        self.undelivered: int | None = None
        self.woken = asyncio.Event()
        self.loop = Loop(
            "alerts_deliver",
            self.look,
            every=pace.alerts_deliver,
            outlives=DATABASE_ERRORS,
            failed="alerts.delivery_failed",
            woken=self.woken,
        )

    async def measures(self) -> Mapping[str, Values]:
        """A source of measures: how many messages a channel did not take."""
        return {} if self.undelivered is None else {"alerts_undelivered": whole(self.undelivered)}

    async def look(self) -> Again | None:
        """Sends what is due. Returns when to look again, if nothing waits."""
        async with self._database.reading() as connection:
            store = DeliveryStore(connection)
            due = await store.due_channels()
            waits, self.undelivered = await store.waits(), await store.undelivered()
        if due and self._writes():
            await self._send_due(due)
        return None if waits else self._idle

    async def _send_due(self, due: Sequence[tuple[str, dt.datetime | None]]) -> None:
        known, now = {channel.name: channel for channel in self._channels.all()}, dt.datetime.now(dt.UTC)
        calm = [name for name, told_at in due if told_at is None or now - told_at >= self._calm]
        async with asyncio.TaskGroup() as group:
            for name in calm:
                group.create_task(self._serve(name, known.get(name)))

    async def _serve(self, name: str, channel: Channel | None) -> None:
        deliveries, alerts = await self._due(name)
        if not deliveries:
            return
        told = sorted(
            {alerts[each.alert].id: alerts[each.alert] for each in deliveries}.values(), key=lambda a: a.id
        )
        if channel is None:
            # It was taken out, or the file is just being written: then the next attempt finds it.
            error = NO_CHANNEL
        else:
            error = await self._send(channel, title_of(told), body_of(told, self._zone), kind_of(told))
        await self._note(name, deliveries, error)

    async def _due(self, channel: str) -> tuple[Sequence[Delivery], dict[int, Alert]]:
        """Returns what to tell now, and notes the attempt. What is silenced is postponed."""
        async with self._database.transaction() as connection:
            store = DeliveryStore(connection)
            locked = await store.waiting(channel)
            silences = await SilenceStore(connection).holding()
            found = await AlertStore(connection).some(sorted({each.alert for each in locked}))
            alerts = {alert.id: _with_silence(alert, silences) for alert in found}
            # An alert that only a later release can read is told of by that one.
            waiting = [each for each in locked if each.alert in alerts]
            postponed = [
                (each.id, until)
                for each in waiting
                if (until := alerts[each.alert].silenced_until) is not None
            ]
            if postponed:
                await store.postpone(postponed)
            told = [each for each in waiting if alerts[each.alert].silenced_until is None]
            await store.begin([each.id for each in told], self._first_retry, LONGEST_RETRY_SECONDS)
        return told, alerts

    async def _note(self, channel: str, deliveries: Sequence[Delivery], error: str) -> None:
        ids = [each.id for each in deliveries]
        async with self._database.transaction() as connection:
            store = DeliveryStore(connection)
            if error:
                await store.failed(ids, error)
            else:
                await store.delivered(ids)
        if error:
            log.warning("alerts.not_delivered", channel=channel, count=len(ids), error=error)
        else:
            log.info("alerts.delivered", channel=channel, count=len(ids))
        self._told()


def _with_silence(alert: Alert, silences: Sequence[Silence]) -> Alert:
    """An alert that has ended is told of at once: those who are told knew that it fired."""
    return silenced(alert, silences) if alert.fires else alert
