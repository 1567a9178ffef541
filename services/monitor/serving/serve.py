"""The command `serve`: builds the monitor, and runs it."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack

from services.kernel import service
from services.kernel.channel import channel_to
from services.kernel.grpc.server import Elsewhere
from services.kernel.operations import Owner
from services.monitor.api.tasks import readers_of_arguments
from services.monitor.serving.alerting import alerting_on
from services.monitor.serving.exposing import expose
from services.monitor.serving.ground import opened_ground
from services.monitor.serving.hearing import hearing_on
from services.monitor.serving.measuring import measuring_on, snapshots_on
from services.monitor.serving.mending import mending_on
from services.monitor.serving.sending import sending_on
from services.monitor.serving.servicers import servicers_on
from services.monitor.serving.showing import showing_on
from services.monitor.serving.steering import steering_on
from services.monitor.settings import MonitorSettings
from services.monitor.system.next_runs import NextRuns
from services.monitor.system.peers import health_elsewhere, services_elsewhere

# How many more objects are made than dropped before Python looks for those that refer to each other, and how
# many of these looks pass before one goes through all tasks in memory, among which there are none.
GARBAGE_LOOKS = (20_000, 20, 50)


async def serve(settings: MonitorSettings) -> None:
    gc.set_threshold(*GARBAGE_LOOKS)
    async with AsyncExitStack() as opened:
        ground = await opened_ground(settings, opened)
        scheduler = await opened.enter_async_context(channel_to("scheduler", settings))
        hearing = await hearing_on(ground, opened)
        steering = steering_on(ground, hearing, scheduler)
        sending = sending_on(ground, steering, scheduler)
        mending = await mending_on(ground, hearing, steering)
        next_runs = NextRuns(scheduler)
        showing = await showing_on(ground, hearing, steering, mending, next_runs, opened)
        alerting = alerting_on(ground, hearing, next_runs)
        measuring = measuring_on(ground, hearing, steering, showing, alerting.sources)
        measuring.follow(alerting.evaluating.take)
        expose(ground, hearing, steering, mending, showing, measuring, alerting)
        snapshots = snapshots_on(ground, hearing, measuring)
        elsewhere = services_elsewhere()
        await service.run(
            "monitor",
            settings,
            ground.database,
            showing.registry,
            servicers=servicers_on(ground, hearing, steering, sending, mending, showing, alerting),
            background=[
                hearing.intake,
                *steering.background,
                *mending.background,
                sending.many.loop,
                *showing.background,
                *alerting.background,
                measuring.loop,
                snapshots.loop,
                Owner(ground.database, "monitor", pace=ground.pace),
            ],
            elsewhere=Elsewhere(list(elsewhere), health_elsewhere(showing.components, elsewhere)),
            live=ground.live,
            checks={"broker": ground.client.ping, "events": hearing.intake.check},
            readers=readers_of_arguments(settings.readers_of_arguments),
            pace=ground.pace,
        )
