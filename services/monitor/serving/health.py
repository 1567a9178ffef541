"""The health of each component, as it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from services import DOOR, SERVICES
from services.kernel.certificates import Certificates
from services.kernel.channel import channel_to
from services.kernel.loops import Heartbeat
from services.monitor.messages.purging import emptied
from services.monitor.serving.ground import Ground
from services.monitor.serving.mending import Mending
from services.monitor.serving.steering import Steering
from services.monitor.system import checks
from services.monitor.system.components import Components, Followed, Look
from services.monitor.system.door import door
from services.monitor.system.hanging import HangingLook
from services.monitor.system.peers import audit, peer
from services.monitor.tasks.generations import Generations


def hanging_on(ground: Ground, steering: Steering, mending: Mending) -> HangingLook:
    return HangingLook(
        ground.database,
        ground.queues,
        steering.consumed,
        lambda: mending.orphans.stranded,
        lambda: emptied(ground.client, ground.settings.layout),
        ground.pace,
    )


async def components_on(
    ground: Ground,
    steering: Steering,
    mending: Mending,
    generations: Generations,
    heartbeats: Sequence[Heartbeat],
    hanging: HangingLook,
    opened: AsyncExitStack,
) -> Components:
    """Builds the components. Their order here is the order in which they are shown."""
    figures, workers, gaps = ground.figures, ground.workers, mending.gaps
    return Components(
        {
            **await _others(ground, opened),
            "monitor": checks.monitor_look(figures, heartbeats, lambda: generations.remark),
            "database": checks.DatabaseLook(ground.database),
            "broker": checks.broker_look(ground.client, mending.lives.look),
            "workers": checks.workers_look(workers, lambda: steering.halting.words),
            "events": checks.EventsLook(
                figures, lambda: gaps.fault, lambda: gaps.told_losses, lambda: mending.collecting.words
            ),
            "tasks": hanging,
        },
        ground.pace,
    )


async def _others(ground: Ground, opened: AsyncExitStack) -> dict[str, Look | Followed]:
    """The other services, and the door."""
    found: dict[str, Look | Followed] = {}
    for name in SERVICES:
        if name != "monitor":
            channel = await opened.enter_async_context(channel_to(name, ground.settings))
            found[name] = audit(channel) if name == "audit" else peer(channel)
    if ground.settings.door_address is not None:
        found[DOOR] = door(ground.settings.door_address, Certificates(ground.settings))
    return found
