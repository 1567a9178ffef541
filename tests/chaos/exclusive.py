"""Schedules whose runs may not overlap, and how long their tasks go on."""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from services.scheduler.schedule.definition import Overlap
from tests.chaos.load import Expected, Window, interval, task_id
from tests.chaos.workers import Work

QUEUE = "exclusive"
EACH_POLICY = 16
# Shorter and longer than from one due time to the next.
SHORT, LONG = (0.05, 2.5), (30.0, 60.0)
# Why a due time was passed over, and the run that was the cause of it.
MOMENT = r"the run of (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)Z "
SKIPPED = {
    Overlap.SKIP: re.compile(MOMENT + r".*; its policy is to skip$"),
    Overlap.QUEUE: re.compile(MOMENT + "waits already$"),
    Overlap.CANCEL: re.compile(MOMENT + "took its place$"),
}


def exclusives(window: Window, *, resend_lost: bool = False) -> list[Expected]:
    """Due after the window's beginning, up to its end and at it.

    `resend_lost`: a lost run is sent again of every other one.
    """
    return [
        interval(
            f"{overlap.value}-{number}",
            window,
            1000 + 90 * number,
            0,
            queue=QUEUE,
            overlap=overlap,
            resend_lost=resend_lost and number % 2 == 0,
        )
        for overlap in SKIPPED
        for number in range(EACH_POLICY)
    ]


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


def by_schedule(expected: Sequence[Expected], works: Sequence[Work]) -> dict[str, list[Work]]:
    """The tasks of each schedule, in the order in which workers took them."""
    schedules = {
        task_id(each.definition.id, due): each.definition.id for each in expected for due in each.due
    }
    found: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        found[schedules[work.task_id]].append(work)
    return found


def overlapping(expected: Sequence[Expected], works: Sequence[Work]) -> list[str]:
    """Tells of each task that was taken while another of its schedule was going."""
    return [
        f"{schedule}: {after.task_id} came {before.ends - after.began:.3f} s before {before.task_id} ended"
        for schedule, each in by_schedule(expected, works).items()
        for before, after in itertools.pairwise(each)
        if after.began < before.ends
    ]
