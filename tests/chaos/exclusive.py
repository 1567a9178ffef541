"""Schedules whose runs may not overlap, and how long their tasks go on."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence

from services.scheduler.plan import Bounds
from services.scheduler.schedules import Definition, Overlap, Task
from services.scheduler.timing import IntervalTiming
from tests.chaos.load import EACH, MILLISECOND, Expected, Window, task_id

QUEUE = "exclusive"
EACH_POLICY = 16
# Shorter and longer than from one due time to the next.
SHORT, LONG = (0.05, 2.5), (30.0, 60.0)


def exclusives(window: Window) -> list[Expected]:
    """Due after the window's beginning, up to its end and at it."""
    policies = (Overlap.SKIP, Overlap.QUEUE, Overlap.CANCEL)
    return [_exclusive(overlap, number, window) for overlap in policies for number in range(EACH_POLICY)]


def _exclusive(overlap: Overlap, number: int, window: Window) -> Expected:
    start, end = window
    every = (1000 + 90 * number) * MILLISECOND
    definition = Definition(
        f"{overlap.value}-{number}",
        Task("count", queue=QUEUE),
        IntervalTiming(every, start + every, "UTC"),
        bounds=Bounds(end=end),
        misfire=EACH,
        overlap=overlap,
    )
    return Expected(definition, tuple(_each(start + every, every, end)))


def _each(first: dt.datetime, every: dt.timedelta, end: dt.datetime) -> Iterator[dt.datetime]:
    while first <= end:
        yield first
        first += every


def lengths(expected: Sequence[Expected]) -> Callable[[str], float]:
    """The seconds that a task goes on; some of those that may be cancelled have to be."""
    known: dict[str, float] = {}
    for schedule, due in expected:
        for moment in due:
            task = task_id(schedule.id, moment)
            chance = random.Random(task)
            long = schedule.overlap is Overlap.CANCEL and chance.random() < 0.5
            known[task] = chance.uniform(*(LONG if long else SHORT))
    return known.__getitem__
