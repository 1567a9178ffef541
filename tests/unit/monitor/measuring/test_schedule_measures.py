"""How late the scheduler is, by what it says is due next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import cast

import pytest

from services.monitor.measuring.schedules import ScheduleMeasures
from services.monitor.system.next_runs import NextRun, NextRuns


class Told:
    """The next runs, as a scheduler tells them; seconds until they are due, with their jitter."""

    def __init__(self, *runs: tuple[float, float]) -> None:
        self._runs = runs

    async def soonest(self, most: int) -> Sequence[NextRun]:
        now, second = dt.datetime.now(dt.UTC), dt.timedelta(seconds=1)
        return [NextRun("schedules/a", "a", now + at * second, jitter * second) for at, jitter in self._runs][
            :most
        ]


async def late(*runs: tuple[float, float]) -> float:
    return (await ScheduleMeasures(cast("NextRuns", Told(*runs))).read())["scheduler_late_seconds"][""]


async def test_a_run_is_late_from_when_it_had_to_be_sent_and_no_sooner() -> None:
    assert await late() == 0
    assert await late((10, 0), (20, 0)) == 0
    assert await late((-7, 0), (20, 0)) == pytest.approx(7, abs=1)
    # It may still wait for its jitter; the next one may not.
    assert await late((-30, 60), (5, 0)) == 0
    assert await late((-30, 60), (-8, 0)) == pytest.approx(8, abs=1)
