"""What is shown to people: figures, health, the front page, queues, operations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from celeriac.operations.v1.operations_pb2 import WatchOperationsResponse

from services.kernel.loops import Background
from services.kernel.metrics import Registry, new_registry
from services.monitor.api.front_page import FrontPage
from services.monitor.api.operations import watch_response_to
from services.monitor.gaps.retention import gap_retention
from services.monitor.operations.watching import Watching
from services.monitor.search.indexing import Indexing
from services.monitor.serving.ground import Ground
from services.monitor.serving.health import components_on, hanging_on
from services.monitor.serving.hearing import Hearing
from services.monitor.serving.mending import Mending
from services.monitor.serving.queues import QueueViews, queues_on
from services.monitor.serving.steering import Steering
from services.monitor.system.components import Components
from services.monitor.system.hanging import HangingLook
from services.monitor.system.host import HostFigures
from services.monitor.system.next_runs import NextRuns
from services.monitor.tasks.generations import Generations
from services.monitor.tasks.retention import task_retention
from services.monitor.watch.pulse import Pulse


@dataclass(frozen=True)
class Showing:
    pulse: Pulse
    components: Components
    front_page: FrontPage
    watching: Watching[WatchOperationsResponse]
    hanging: HangingLook
    queues: QueueViews
    generations: Generations
    registry: Registry
    upkeep: Sequence[Background]

    @property
    def background(self) -> Sequence[Background]:
        return [self.pulse.loop, self.components, *self.upkeep, self.watching.loop]


async def showing_on(
    ground: Ground,
    hearing: Hearing,
    steering: Steering,
    mending: Mending,
    next_runs: NextRuns,
    opened: AsyncExitStack,
) -> Showing:
    database, figures, workers, pace = ground.database, ground.figures, ground.workers, ground.pace
    intake, gaps = hearing.intake, mending.gaps
    pulse = Pulse(figures, workers, ground.queues, pace, intake.totals)
    generations = Generations(database, ground.live, ground.settings.tasks_bytes, pace)
    heartbeats = [*intake.heartbeats, *pulse.loop.heartbeats, *gaps.heartbeats]
    hanging = hanging_on(ground, steering, mending)
    components = await components_on(ground, steering, mending, generations, heartbeats, hanging, opened)
    queues = queues_on(ground, steering)
    return Showing(
        pulse,
        components,
        FrontPage(pulse, intake.totals, workers, database, ground.lists, next_runs, HostFigures()),
        Watching(database, ground.sessions, watch_response_to, pace, ground.settings.watch_buffer),
        hanging,
        queues,
        generations,
        new_registry(),
        [generations.loop, *_upkeep(ground)],
    )


def _upkeep(ground: Ground) -> Sequence[Background]:
    """What keeps tables small, and the search index up to date."""
    database, figures, live, pace = ground.database, ground.figures, ground.live, ground.pace
    indexing = Indexing(
        database,
        lambda: figures.events_per_second(time.monotonic()),
        lambda: figures.rows_written,
        pace,
    )
    old = task_retention(database, live, pace), gap_retention(database, live, pace)
    return [indexing.loop, *(each.loop for each in old)]
