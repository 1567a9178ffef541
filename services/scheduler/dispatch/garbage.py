"""Settings of Python's garbage collector that keep it from slowing down dispatching.

A batch makes some ten thousand small objects that live for milliseconds and are in no reference cycle. To
collect after every 700 new objects, Python's default, would take a large part of the time of dispatching. So
young objects are collected rarely. A loop collects everything at intervals, because objects that are in
cycles, mostly the frames of failed calls, can hold much memory.
"""

from __future__ import annotations

import gc
import time

from services.kernel.loops import Loop
from services.scheduler.pace import USUAL, Pace

EACH = 50_000
# A process with fewer new objects is idle, and has hardly any garbage.
FEW = 5_000


def rarely() -> None:
    """Sets the collector to collect young objects only after EACH new ones."""
    gc.set_threshold(EACH, 20, 20)


def collecting(pace: Pace = USUAL) -> Loop:
    """Returns the loop that collects all garbage at intervals."""

    collected_at = time.monotonic()

    async def collect() -> None:
        nonlocal collected_at
        young, *older = gc.get_count()
        if young < FEW and not any(older) and time.monotonic() - collected_at < pace.idle_garbage:
            return
        gc.collect()
        collected_at = time.monotonic()

    return Loop("garbage", collect, every=pace.garbage, at_once=False)
