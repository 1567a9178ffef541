"""What people do with alerts: look, acknowledge, silence, and try the channels."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition, NotFound
from services.kernel.once import Once
from services.kernel.pages import Place
from services.monitor.alerts import sending
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.board import Board
from services.monitor.alerts.channels import Channel, Channels
from services.monitor.alerts.messages import TEST_BODY, TEST_TITLE
from services.monitor.alerts.silence import Silence
from services.monitor.alerts.store_alerts import AlertFilter, AlertStore
from services.monitor.alerts.store_deliveries import ChannelRecord, Delivery, DeliveryStore
from services.monitor.alerts.store_rules import RuleStore
from services.monitor.alerts.store_silences import SilenceStore


class Alerts:
    """The use cases of alerts; each change is one transaction, after which the board is read again."""

    def __init__(
        self, database: Database, board: Board, channels: Channels, deliver: Callable[[], None]
    ) -> None:
        """`deliver`: has what channels are to be told looked at now."""
        self._deliver = deliver
        self._database = database
        self._board = board
        self._channels = channels

    async def list(self, wanted: AlertFilter, after: Place | None, most: int) -> Sequence[Alert]:
        async with self._database.reading() as connection:
            found = await AlertStore(connection).list(wanted, after, most)
        return [self._board.silenced(alert) for alert in found]

    async def get(self, alert_id: int) -> tuple[Alert, Sequence[Delivery]]:
        """Raises `NotFound`."""
        async with self._database.reading() as connection:
            alert = await AlertStore(connection).get(alert_id)
            deliveries = await DeliveryStore(connection).of_alert(alert_id)
        return self._board.silenced(_found(alert, alert_id)), deliveries

    async def acknowledge(self, alert_id: int, actor: str, note: str) -> Alert:
        """Raises `NotFound`, and `FailedPrecondition` if the alert has ended."""
        async with self._database.transaction() as connection:
            store = AlertStore(connection)
            alert = await store.acknowledge(alert_id, actor, note)
            if alert is None:
                ended = _found(await store.get(alert_id), alert_id)
                text = f"alerts/{alert_id} has ended ({ended.end_reason})"
                raise FailedPrecondition("ALERT_ENDED", text)
        await self._board.look()
        return self._board.silenced(alert)

    async def silences(self, after: Place | None, most: int) -> Sequence[Silence]:
        async with self._database.reading() as connection:
            return await SilenceStore(connection).list(after, most)

    async def refuse_unknown_rule(self, rule_id: str) -> None:
        """Raises `NotFound`, with the nearest one: a silence of such a rule would silence nothing."""
        if not rule_id:
            return
        async with self._database.reading() as connection:
            known = [rule.id for rule in await RuleStore(connection).all()]
        if rule_id not in known:
            near = difflib.get_close_matches(rule_id, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise NotFound("alert_rule", rule_id, f"there is no alert rule {rule_id!r}{hint}")

    async def silence(self, silence: Silence, once: Once | None) -> Silence:
        """Raises `Invalid` if the request's id was another request's."""
        async with self._database.transaction() as connection:
            store = SilenceStore(connection)
            await store.delete_old()
            stored = await store.add(silence, once)
        await self._board.look()
        return stored

    async def end_silence(self, silence_id: int) -> Silence:
        """Raises `NotFound`. What fires still is told at the next look."""
        async with self._database.transaction() as connection:
            store = SilenceStore(connection)
            if await store.get(silence_id) is None:
                raise NotFound("alert_silence", str(silence_id))
            ended = await store.end(silence_id)
            assert ended is not None
            await DeliveryStore(connection).hurry()
        self._deliver()
        await self._board.look()
        return ended

    def count_of(self, silence: Silence) -> int:
        """Returns how many alerts that fire the silence is about."""
        return sum(map(silence.is_about, self._board.firing))

    async def channels(self) -> Sequence[tuple[Channel, ChannelRecord]]:
        """Returns the channels with what came of their messages. Raises `FailedPrecondition`."""
        channels = self._channels.sound()
        async with self._database.reading() as connection:
            records = await DeliveryStore(connection).of_channels([channel.name for channel in channels])
        return [(channel, records[channel.name]) for channel in channels]

    async def test(self, name: str) -> str:
        """Sends a test over the channel. Returns why it was not taken; empty if it was. Raises `NotFound`."""
        found = [channel for channel in self._channels.sound() if channel.name == name]
        if not found:
            raise NotFound("alert_channel", name)
        return await sending.send(found[0], TEST_TITLE, TEST_BODY.format(name=name))


def _found(alert: Alert | None, alert_id: int) -> Alert:
    if alert is None:
        raise NotFound("alert", str(alert_id))
    return alert
