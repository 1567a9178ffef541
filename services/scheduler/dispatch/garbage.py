"""The garbage collector, out of the way of dispatching.

A batch is some ten thousand small objects that live for milliseconds and hold no cycles: to collect after
each 700, as Python does, takes a good part of the time of dispatching. What does hold cycles, the frames of
failed calls above all, is collected now and then instead; it may hold much.
"""

from __future__ import annotations

import gc

from services.kernel.loops import Loop
from services.scheduler.pace import USUAL, Pace

EACH = 50_000


def rarely() -> None:
    """Collects young objects after so many."""
    gc.set_threshold(EACH, 20, 20)


def collecting(pace: Pace = USUAL) -> Loop:
    """The loop that collects all objects now and then."""

    async def collect() -> None:
        gc.collect()

    return Loop("garbage", collect, every=pace.garbage, at_once=False)
