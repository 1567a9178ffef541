"""How tasks are ended: by as many cancellations as they need.

A driver may turn a cancellation into an error of its own. A loop that outlives that error goes on then, as it
can't know that it was to end. `asyncio.TaskGroup` cancels each of its tasks once only, so a loop never runs
in a group directly, but in `to_the_end`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")

# A task that has not ended after this time is cancelled once more.
AGAIN_SECONDS = 1.0


async def end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels the tasks until all have ended."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Does the work in a task, and returns its result or raises its error.

    When it is cancelled, it cancels the work until that has ended, and only then raises the cancellation.
    """
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task}, timeout=AGAIN_SECONDS if cancelled else None)
        except asyncio.CancelledError as error:
            cancelled = error
        if cancelled:
            task.cancel()
    if cancelled and not task.cancelled() and (failed := task.exception()) is not None:
        # What it raised at its end is not lost.
        raise failed from cancelled
    if cancelled:
        raise cancelled
    return task.result()


async def undisturbed(work: Coroutine[Any, Any, Result]) -> Result:
    """Does the last work of what is being ended, however often that is cancelled meanwhile.

    Returns its result. The work must end by a limit of time of its own.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    return task.result()
