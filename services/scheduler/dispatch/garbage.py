"""The garbage collector, out of the way of dispatching.

A batch is some ten thousand small objects that live for milliseconds and hold no cycles: to collect after
each 700, as Python does, takes a good part of the time of dispatching. What does hold cycles, the frames of
failed calls above all, is collected now and then instead; it may hold much.
"""

from __future__ import annotations

import asyncio
import gc

from services.scheduler.pace import USUAL, Pace

EACH = 50_000


def rarely() -> None:
    """Collects young objects after so many."""
    gc.set_threshold(EACH, 20, 20)


async def collect_now_and_then(pace: Pace = USUAL) -> None:
    """A background loop."""
    while True:
        await asyncio.sleep(pace.garbage)
        gc.collect()
