"""Gaps of the events, as the rest of the monitor sees them: recorded, repaired, and told of while open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.kernel.endings import to_the_end
from services.kernel.loops import Heartbeat
from services.monitor.gaps.recording import GapRecorder
from services.monitor.gaps.repairing import GapRepair


class Gaps:
    """Records and repairs for as long as `run` runs."""

    def __init__(self, recorder: GapRecorder, repair: GapRepair) -> None:
        self._recorder = recorder
        self._repair = repair

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [*self._recorder.loop.heartbeats, *self._repair.loop.heartbeats]

    @property
    def fault(self) -> str:
        """What is to be said of gaps that are not repaired yet; empty if there are none."""
        return self._repair.fault

    @property
    def told_losses(self) -> int:
        """How many of the losses that the figures count a record tells of."""
        return self._recorder.told_losses

    @property
    def open(self) -> int:
        """Gaps that no monitor has repaired yet."""
        return len(self._repair.open)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(to_the_end(self._recorder.loop.run()))
            group.create_task(to_the_end(self._repair.loop.run()))
