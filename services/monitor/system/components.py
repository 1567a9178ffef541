"""The system's parts, each looked at every few seconds: how it is, and since when that is known."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from services.kernel.loops import Heartbeat, Loop
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# An answer that takes longer is none: so a component's state is at most 5 seconds old.
TIMEOUT_SECONDS = 2.5
MOST_DETAIL = 300


class Health(enum.IntEnum):
    """From good to bad, so that the worst of several is their maximum."""

    HEALTHY = 1
    DEGRADED = 2
    UNHEALTHY = 3


@dataclass(frozen=True)
class Finding:
    """What a look at a component found. `asked`: whether something answered over the network."""

    health: Health
    detail: str
    asked: bool = True


@dataclass(frozen=True)
class Component:
    """A part of the system. `latency` in seconds, None where nothing is asked."""

    name: str
    health: Health
    detail: str
    latency: float | None = None
    checked_at: dt.datetime | None = None


# Raises whatever went wrong; that is then the component's detail.
Look = Callable[[], Awaitable[Finding]]


class Components:
    """Keeps looking at every component, each in its own time: one that hangs delays no other."""

    def __init__(self, looks: Mapping[str, Look], pace: Pace = USUAL) -> None:
        steps = {name: functools.partial(self._look_at, name, look) for name, look in looks.items()}
        every = pace.components_look
        self._loops = [Loop(f"component_{name}", step, every=every) for name, step in steps.items()]
        self._known = {name: Component(name, Health.UNHEALTHY, "not looked at yet") for name in looks}
        self._changed = asyncio.Condition()

    def all(self) -> list[Component]:
        """In the order in which they were given."""
        return list(self._known.values())

    @property
    def health(self) -> Health:
        """The worst."""
        return max(component.health for component in self.all())

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [loop.heartbeat for loop in self._loops]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())

    async def changes(self) -> AsyncIterator[Component]:
        """Each component, and again whenever its health is another; what is passed over is newer anyway."""
        told: dict[str, Health] = {}
        while True:
            for component in self.all():
                if told.get(component.name) is not component.health:
                    told[component.name] = component.health
                    yield component
            async with self._changed:
                await self._changed.wait_for(
                    lambda: any(told[each.name] is not each.health for each in self.all())
                )

    async def _look_at(self, name: str, look: Look) -> None:
        component = await look_once(name, look)
        if component.health is not self._known[name].health:
            log.info(
                "component.changed", component=name, health=component.health.name, detail=component.detail
            )
        async with self._changed:
            self._known[name] = component
            self._changed.notify_all()


async def look_once(name: str, look: Look) -> Component:
    """One look; a component that raises or does not answer in time is unhealthy."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            finding = await look()
    except TimeoutError:
        finding = Finding(Health.UNHEALTHY, f"no answer within {TIMEOUT_SECONDS} s", asked=False)
    except Exception as error:
        # Whatever a driver raises: the look failed, the monitor didn't.
        words = " ".join(str(error).split()) or type(error).__name__
        finding = Finding(Health.UNHEALTHY, words[:MOST_DETAIL], asked=False)
    latency = time.monotonic() - started if finding.asked else None
    return Component(name, finding.health, finding.detail, latency, dt.datetime.now(dt.UTC))
