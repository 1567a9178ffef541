"""What measures: the sources of the measures, their reading, and the snapshots that keep them."""

from __future__ import annotations

from collections.abc import Sequence

from services.monitor.measuring.events import EventMeasures
from services.monitor.measuring.health import HealthMeasures
from services.monitor.measuring.host import HostMeasures
from services.monitor.measuring.measuring import Measuring, Source
from services.monitor.measuring.own_workers import OwnWorkers
from services.monitor.measuring.queues import BrokerMeasures
from services.monitor.measuring.tasks import TaskMeasures
from services.monitor.measuring.workers import WorkerMeasures
from services.monitor.serving.ground import Ground
from services.monitor.serving.hearing import Hearing
from services.monitor.serving.showing import Showing
from services.monitor.serving.steering import Steering
from services.monitor.snapshots.snapshots import Snapshots


def snapshots_on(ground: Ground, hearing: Hearing, measuring: Measuring) -> Snapshots:
    snapshots = Snapshots(ground.database, hearing.writes, ground.settings.snapshots_bytes, ground.pace)
    measuring.follow(snapshots.take)
    return snapshots


def measuring_on(
    ground: Ground, hearing: Hearing, steering: Steering, showing: Showing, others: Sequence[Source] = ()
) -> Measuring:
    """`others`: further sources."""
    intake, workers = hearing.intake, ground.workers
    health = HealthMeasures(ground.database, ground.client, showing.components, showing.hanging)
    own = OwnWorkers(workers.there)
    steering.roll_call.on_stats.append(own.told)
    return Measuring(
        [
            EventMeasures(ground.figures, intake).read,
            TaskMeasures(intake.totals, ground.figures, lambda: intake.collects).read,
            BrokerMeasures(ground.queues, showing.queues.measured, steering.consumed).read,
            WorkerMeasures(workers, steering.control.settled).read,
            own.read,
            HostMeasures().read,
            health.gaps,
            health.broker,
            health.components,
            *others,
        ],
        ground.pace,
    )
