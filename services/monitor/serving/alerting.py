"""What watches the measures: rules, the alerts that fire, and who is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from services.kernel.loops import Background
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.alerts import Alerts
from services.monitor.alerts.board import Board
from services.monitor.alerts.channels import Channels
from services.monitor.alerts.delivering import Delivering
from services.monitor.alerts.evaluating import Evaluating
from services.monitor.alerts.retention import alert_retention
from services.monitor.alerts.rules import Rules
from services.monitor.api.monitoring import alert_message
from services.monitor.measuring.certificates import Certificate, certificates_of
from services.monitor.measuring.gateway import GatewayRefusals
from services.monitor.measuring.measures import Values
from services.monitor.measuring.schedules import ScheduleMeasures
from services.monitor.measuring.services import ServiceMeasures
from services.monitor.serving.ground import Ground
from services.monitor.serving.hearing import Hearing
from services.monitor.settings import MonitorSettings
from services.monitor.snapshots.past import Past
from services.monitor.system.next_runs import NextRuns


@dataclass(frozen=True)
class Alerting:
    """`sources`: measures of its own."""

    board: Board
    evaluating: Evaluating
    rules: Rules
    alerts: Alerts
    delivering: Delivering
    sources: Sequence[Callable[[], Awaitable[Mapping[str, Values]]]]
    upkeep: Background

    @property
    def background(self) -> Sequence[Background]:
        return [self.board.loop, self.delivering.loop, self.upkeep]


def _certificates(settings: MonitorSettings) -> Sequence[Certificate]:
    return certificates_of(settings.gateway_address, settings.certificate_files)


def _refusals(settings: MonitorSettings) -> GatewayRefusals | None:
    return None if settings.gateway_admin is None else GatewayRefusals(settings.gateway_admin)


def alerting_on(ground: Ground, hearing: Hearing, next_runs: NextRuns) -> Alerting:
    database, settings, pace, hub = ground.database, ground.settings, ground.pace, hearing.hub
    channels = Channels(settings.alert_channels)

    def changed(alert: Alert) -> None:
        hub.alert_changed(alert.id, alert_message(alert), fires=alert.fires)

    board = Board(database, changed, pace)
    zone = ZoneInfo(settings.time_zone)
    delivering = Delivering(database, channels, hearing.writes, board.woken.set, zone, pace)

    def alerts_changed() -> None:
        board.woken.set()
        delivering.woken.set()

    return Alerting(
        board,
        Evaluating(database, channels, hearing.writes, alerts_changed, settings.runbook_url, pace),
        Rules(database, Past(database).readings),
        Alerts(database, board, channels, delivering.woken.set),
        delivering,
        [
            delivering.measures,
            ScheduleMeasures(next_runs).read,
            ServiceMeasures(database, _certificates(settings), _refusals(settings)).read,
        ],
        alert_retention(database, ground.live, pace).loop,
    )
