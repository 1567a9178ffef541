"""Ready is a state that is reached once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from services.kernel.errors import NotReady
from services.monitor.pace import Pace
from services.monitor.system.components import Components, Finding, Health
from services.monitor.system.readiness import Readiness

PACE = replace(Pace(), components_look=0.005, components_awaited=0.001)


class Part:
    """A component whose health the test chooses."""

    def __init__(self, health: Health) -> None:
        self.health = health
        self.looks = 0

    async def __call__(self) -> Finding:
        self.looks += 1
        return Finding(self.health, "chosen")

    async def is_looked_at(self) -> None:
        """Waits for a look that began after now."""
        before = self.looks
        async with asyncio.timeout(10):
            while self.looks < before + 2:  # noqa: ASYNC110 # a look tells nobody
                await asyncio.sleep(0.001)


@asynccontextmanager
async def watched(**parts: Part) -> AsyncIterator[Components]:
    components = Components(parts, PACE)
    running = asyncio.create_task(components.run())
    yield components
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def waits_for(readiness: Readiness) -> str:
    with pytest.raises(NotReady) as refusal:
        readiness.require()
    assert refusal.value.retry_after > 0
    return refusal.value.message


async def test_it_waits_for_what_is_unhealthy_and_names_it() -> None:
    late, degraded = Part(Health.UNHEALTHY), Part(Health.DEGRADED)
    async with watched(embedder=late, workers=degraded) as components:
        readiness = Readiness(components)
        await degraded.is_looked_at()
        assert "waits for: embedder;" in waits_for(readiness)
        late.health = Health.HEALTHY
        await late.is_looked_at()
        readiness.require()


async def test_it_stays_ready_also_if_nobody_had_asked() -> None:
    part = Part(Health.HEALTHY)
    async with watched(embedder=part) as components:
        await part.is_looked_at()
        part.health = Health.UNHEALTHY
        await part.is_looked_at()
        assert components.health is Health.UNHEALTHY
        Readiness(components).require()


async def test_it_waits_for_the_file_and_not_for_it_to_stay(tmp_path: Path) -> None:
    file, part = tmp_path / "ready", Part(Health.HEALTHY)
    async with watched(embedder=part) as components:
        await part.is_looked_at()
        readiness = Readiness(components, file)
        assert "first steps" in waits_for(readiness)
        file.touch()
        readiness.require()
        file.unlink()
        readiness.require()
