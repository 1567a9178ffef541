"""What Prometheus reads: the parts of the monitor's metrics."""

from __future__ import annotations

from services.monitor.exposing.families import Part
from services.monitor.exposing.metrics import MonitorMetrics
from services.monitor.exposing.newest import Newest
from services.monitor.exposing.of_alerts import AlertMetrics
from services.monitor.exposing.of_events import EventMetrics, OwnMetrics
from services.monitor.exposing.of_queues import QueueMetrics
from services.monitor.exposing.of_system import OperationMetrics, SystemMetrics
from services.monitor.exposing.of_tasks import TaskMetrics
from services.monitor.exposing.of_workers import WorkerMetrics
from services.monitor.measuring.measuring import Measuring
from services.monitor.serving.alerting import Alerting
from services.monitor.serving.ground import Ground
from services.monitor.serving.hearing import Hearing
from services.monitor.serving.mending import Mending
from services.monitor.serving.showing import Showing
from services.monitor.serving.steering import Steering


def expose(
    ground: Ground,
    hearing: Hearing,
    steering: Steering,
    mending: Mending,
    showing: Showing,
    measuring: Measuring,
    alerting: Alerting,
) -> None:
    """Adds the monitor's metrics to the registry."""
    intake, figures = hearing.intake, ground.figures
    newest = Newest(lambda: measuring.newest, ground.pace.measure)
    operations = OperationMetrics(ground.database)
    measuring.follow(operations.follow)
    parts: list[Part] = [
        TaskMetrics(intake.totals),
        QueueMetrics(newest),
        WorkerMetrics(ground.workers, newest, steering.control.settled),
        EventMetrics(figures, intake, mending.gaps),
        SystemMetrics(showing.components, newest),
        AlertMetrics(alerting.board, newest),
        operations,
        OwnMetrics(figures, intake, showing.generations, hearing.hub),
    ]
    showing.registry.rendered.append(MonitorMetrics(intake.totals, parts))
