"""Looking at components: each in its own time, and nothing that fails is passed over."""

from __future__ import annotations

import asyncio

import pytest

from services.monitor.figures import Figures
from services.monitor.pace import Pace
from services.monitor.system import components as subject
from services.monitor.system.checks import EventsLook
from services.monitor.system.components import (
    Component,
    Components,
    Finding,
    Health,
    awaited_pause,
    look_once,
)
from services.monitor.system.peers import health_elsewhere


async def well() -> Finding:
    return Finding(Health.HEALTHY, "well")


async def test_what_a_look_raises_is_the_components_detail() -> None:
    async def broken() -> Finding:
        raise ConnectionRefusedError("nobody listens\non that port")

    component = await look_once("database", broken)
    assert (component.health, component.detail) == (Health.UNHEALTHY, "nobody listens on that port")
    assert component.latency is None


async def test_a_look_that_hangs_is_given_up_and_delays_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "TIMEOUT_SECONDS", 0.05)

    async def hanging() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    watched = Components({"hanging": hanging, "well": well})
    running = asyncio.create_task(watched.run())

    def known(name: str) -> Component:
        return {each.name: each for each in watched.all()}[name]

    async with asyncio.timeout(10):
        while known("well").health is not Health.HEALTHY:  # noqa: ASYNC110  a look tells nobody when it ends
            await asyncio.sleep(0.001)
        while known("hanging").detail == "not looked at yet":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (known("hanging").health, known("hanging").detail) == (Health.UNHEALTHY, "no answer within 0.05 s")
    assert watched.health is Health.UNHEALTHY


async def test_while_one_never_comes_those_that_are_well_are_left_alone() -> None:
    looks = {"missing": 0, "there": 0}

    async def missing() -> Finding:
        looks["missing"] += 1
        return Finding(Health.UNHEALTHY, "not there")

    async def there() -> Finding:
        looks["there"] += 1
        return await well()

    pace = Pace(components_look=3600, components_awaited=0.001)
    watched = Components({"missing": missing, "there": there}, pace)
    running = asyncio.create_task(watched.run())
    async with asyncio.timeout(10):
        while looks["missing"] < 5:  # noqa: ASYNC110  a look tells nobody when it ends
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert looks["there"] == 1


def test_one_that_does_not_come_is_looked_at_ever_more_seldom() -> None:
    pace = Pace(components_look=4.7, components_awaited=0.25)
    pauses = [awaited_pause(waited, pace) for waited in (0.0, 4.0, 20.0, 60.0, 600.0)]
    assert pauses == [0.25, 0.25, 1.0, 3.0, 4.7]


async def test_before_the_first_look_nothing_is_well() -> None:
    watched = Components({"one": well})
    assert watched.all() == [Component("one", Health.UNHEALTHY, "not looked at yet")]


async def test_services_are_as_well_as_the_component_that_answers_them() -> None:
    watched = Components({"embedder": well, "audit": well})
    names = {"a.Search": "embedder", "a.Operation": "embedder", "b.Audit": "audit"}
    running = asyncio.create_task(watched.run())
    serving: dict[str, bool] = {}
    async with asyncio.timeout(10):
        async for name, serves in health_elsewhere(watched, names)():
            serving[name] = serves
            if len(serving) == 3 and all(serving.values()):
                break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_events_are_degraded_when_cut_off_behind_or_lost() -> None:
    figures = Figures()
    look = EventsLook(figures)
    assert "cut off" in (await look()).detail
    figures.listening = True
    assert (await look()).health is Health.HEALTHY
    figures.event_lag = 7.0
    assert (await look()).detail == "7.0 s behind"
    figures.event_lag = 0.1
    figures.events_lost = 3
    found = await look()
    assert (found.health, found.detail) == (Health.DEGRADED, "3 lost within the last minute")
