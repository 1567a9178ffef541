"""The health of the system's components, each checked every few seconds."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from services.kernel.endings import to_the_end
from services.kernel.loops import Again, Heartbeat, Loop
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# A slower answer counts as no answer. After each look the next comes within 4.7 s (Pace.components_look),
# give or take the jitter: so the state of a component is at most 7 seconds old. Another service is asked each
# 14 s (Pace.peers_look) while it is well, and at once when its stream tells of a change or its connection
# ends.
TIMEOUT_SECONDS = 2.0
MOST_DETAIL = 300
# A component that has not come yet is seen at most this share of the time later that it took to come.
SEEN_LATER = 0.05


class Health(enum.IntEnum):
    """Ordered from good to bad, so that the worst of several is their maximum."""

    HEALTHY = 1
    DEGRADED = 2
    UNHEALTHY = 3


@dataclass(frozen=True)
class Finding:
    """The result of a check. `asked`: whether the component answered over the network."""

    health: Health
    detail: str
    asked: bool = True


@dataclass(frozen=True)
class Component:
    """A component and its health. `latency` in seconds; None if nothing answered over the network."""

    name: str
    health: Health
    detail: str
    latency: float | None = None
    checked_at: dt.datetime | None = None


# Checks a component. The text of an exception becomes the component's detail.
Look = Callable[[], Awaitable[Finding]]


@dataclass(frozen=True)
class Followed:
    """A component that tells by itself when it may have changed, so that it is looked at less often.

    `follow` sets the event then. It runs for as long as the components are checked.
    """

    look: Look
    follow: Callable[[asyncio.Event], Coroutine[Any, Any, NoReturn]]


class Components:
    """Checks every component in a loop of its own, so that one that hangs does not delay the others."""

    def __init__(self, looks: Mapping[str, Look | Followed], pace: Pace = USUAL) -> None:
        self._pace = pace
        self._began_at = time.monotonic()
        self._while_unwell = Again(pace.components_look, early=True)
        self._loops: list[Loop] = []
        self._follows: list[Callable[[], Coroutine[Any, Any, NoReturn]]] = []
        for name, each in looks.items():
            if isinstance(each, Followed):
                woken = asyncio.Event()
                step = functools.partial(self._look_at, name, each.look)
                self._loops.append(Loop(f"component_{name}", step, every=pace.peers_look, woken=woken))
                self._follows.append(functools.partial(each.follow, woken))
            else:
                step = functools.partial(self._look_at, name, each)
                self._loops.append(Loop(f"component_{name}", step, every=pace.components_look))
        self._known = {name: Component(name, Health.UNHEALTHY, "not looked at yet") for name in looks}
        self._changed = asyncio.Condition()
        self._was_there = False

    def all(self) -> list[Component]:
        """Returns the components, in the order in which they were given."""
        return list(self._known.values())

    @property
    def health(self) -> Health:
        """The worst health of all components."""
        return max(component.health for component in self.all())

    @property
    def was_there(self) -> bool:
        """Whether at any time until now no component was unhealthy: the system has come up."""
        return self._was_there

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [loop.heartbeat for loop in self._loops]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(to_the_end(loop.run()))
            for follow in self._follows:
                group.create_task(to_the_end(follow()))

    async def changes(self) -> AsyncIterator[Component]:
        """Yields each component, and again after each change of its health.

        A slow reader may miss a change that was followed by a newer one.
        """
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

    async def _look_at(self, name: str, look: Look) -> Again | None:
        component = await look_once(name, look)
        if component.health is not self._known[name].health:
            log.info(
                "component.changed", component=name, health=component.health.name, detail=component.detail
            )
        async with self._changed:
            self._known[name] = component
            self._was_there = self._was_there or self.health is not Health.UNHEALTHY
            self._changed.notify_all()
        if component.health is Health.UNHEALTHY and not self._was_there:
            return Again(awaited_pause(time.monotonic() - self._began_at, self._pace))
        return None if component.health is Health.HEALTHY else self._while_unwell


def awaited_pause(waited: float, pace: Pace) -> float:
    """Returns the seconds until the next look at a component that has not come in so many seconds.

    It is looked at often at first, so that a start is told soon, and ever more seldom: it may never come.
    """
    return min(max(pace.components_awaited, waited * SEEN_LATER), pace.components_look)


async def look_once(name: str, look: Look) -> Component:
    """Checks once. A component whose check raises, or takes longer than TIMEOUT_SECONDS, is unhealthy."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            finding = await look()
    except TimeoutError:
        finding = Finding(Health.UNHEALTHY, f"no answer within {TIMEOUT_SECONDS} s", asked=False)
    except Exception as error:
        # Any exception: a failed check of a component must not end the monitor.
        words = " ".join(str(error).split()) or type(error).__name__
        finding = Finding(Health.UNHEALTHY, words[:MOST_DETAIL], asked=False)
    latency = time.monotonic() - started if finding.asked else None
    return Component(name, finding.health, finding.detail, latency, dt.datetime.now(dt.UTC))
