"""What hears events: the intake, the workers that it finds out, and those that watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from celeriac.monitor.v1.monitoring_pb2 import WatchEventsResponse

from services.kernel import broker
from services.monitor.api.monitoring import task_message, tasks_message, worker_message
from services.monitor.intake.intake import Bounds, Intake
from services.monitor.intake.kept_events import opened_stream
from services.monitor.intake.subscription import EventSource
from services.monitor.serving.ground import Ground
from services.monitor.watch.hub import Hub
from services.monitor.workers.worker import Worker, WorkerState


@dataclass(frozen=True)
class Comings:
    """What happens when workers come and go.

    `newcomers` is set when a worker comes that has answered no roll call yet, for the roll call; `arrivals`
    for what else is told to such workers. `on_gone` are called when a worker is gone.
    """

    newcomers: asyncio.Event = field(default_factory=asyncio.Event)
    arrivals: asyncio.Event = field(default_factory=asyncio.Event)
    on_gone: list[Callable[[], None]] = field(default_factory=list)

    def changed(self, worker: Worker) -> None:
        if worker.state is WorkerState.ONLINE and not worker.pool:
            self.newcomers.set()
            self.arrivals.set()
        elif worker.state is WorkerState.GONE:
            for call in self.on_gone:
                call()


@dataclass(frozen=True)
class Hearing:
    intake: Intake
    hub: Hub[WatchEventsResponse]
    comings: Comings

    def writes(self) -> bool:
        """Whether this monitor is the one that writes, now."""
        return self.intake.writes


async def hearing_on(ground: Ground, opened: AsyncExitStack) -> Hearing:
    """Builds what hears events, and reads the totals of all monitors."""
    settings, seals, comings = ground.settings, ground.seals, Comings()
    hub = Hub(task_message, tasks_message, worker_message, settings.watch_buffer)

    def worker_changed(worker: Worker) -> None:
        hub.worker_changed(worker)
        comings.changed(worker)

    intake = Intake(
        EventSource(broker.broker_address(settings), settings.key_prefix),
        ground.database,
        ground.figures,
        ground.workers,
        on_tasks=hub.tasks_changed,
        on_worker=worker_changed,
        on_unwatched=hub.unwatched,
        wants=hub.wants,
        kept=await opened.enter_async_context(opened_stream(settings.relay_url)),
        bounds=Bounds(tasks=settings.tasks_in_memory),
        redaction=settings.redaction_by(seals.seal if seals else None),
        pace=ground.pace,
    )
    await intake.totals.read()
    return Hearing(intake, hub, comings)
