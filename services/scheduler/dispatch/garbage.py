"""The garbage collector, out of the way of dispatching.

A batch is some ten thousand small objects that live for milliseconds and hold no cycles: to collect after
each 700, as Python does, takes a good part of the time of dispatching. What does hold cycles, the frames of
failed calls above all, is collected now and then instead; it may hold much.
"""

from __future__ import annotations

import asyncio
import gc

EACH = 50_000
# A full collection takes some 5 ms, as what was imported is not looked through (process.main freezes it).
SECONDS = 10.0


def rarely() -> None:
    """Collects young objects after so many."""
    gc.set_threshold(EACH, 20, 20)


async def collect_now_and_then() -> None:
    """A background loop."""
    while True:
        await asyncio.sleep(SECONDS)
        gc.collect()
