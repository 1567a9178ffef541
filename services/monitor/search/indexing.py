"""The loop that makes the search index, in the background."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.search import store_slices
from services.monitor.search.store_slices import Tasks

log = structlog.get_logger(__name__)

# How long it rests after a slice, as a multiple of the time that the slice took: while few events come, and
# while many do. So it takes no more than a seventh of a core from a monitor that has much to take in.
REST, LONG_REST = 0.5, 6.0
MANY_EVENTS = 2_000
# While no row of a task is written it looks this often only: for tasks that ended, and were too new before.
IDLE_SECONDS = 15.0


class Indexing:
    """Makes slices one after another, as long as there are tasks for one. Of several monitors one does."""

    def __init__(
        self,
        database: Database,
        event_rate: Callable[[], float],
        rows_written: Callable[[], int] | None = None,
        pace: Pace = USUAL,
    ) -> None:
        """`event_rate` returns how many events a second come in, `rows_written` how many rows were."""
        self._rows_written, self._rows = rows_written, -1
        self._database = database
        self._event_rate = event_rate
        self.loop = Loop(
            "search_index",
            self._step_and_rest,
            every=pace.search_index,
            outlives=DATABASE_ERRORS,
            failed="search_index.failed",
        )

    async def _step_and_rest(self) -> Again | None:
        began, before = time.monotonic(), self._rows
        if self._rows_written is not None:
            self._rows = self._rows_written()
        if not await self.step():
            idle = self._rows_written is not None and self._rows == before
            return Again(IDLE_SECONDS, early=True) if idle else None
        factor = LONG_REST if self._event_rate() > MANY_EVENTS else REST
        return Again((time.monotonic() - began) * factor)

    async def step(self) -> bool:
        """Makes one slice, or removes one. Returns whether there may be more to do."""
        async with self._database.transaction() as connection:
            closed = await store_slices.close(connection)
        async with self._database.transaction() as connection:
            if not await store_slices.may_make(connection):
                return False
            wanted = await store_slices.next_range(connection)
            if wanted is None:
                return await store_slices.remove_if_empty(connection)
            began = time.monotonic()
            tasks = await store_slices.read(connection, wanted)
            blocks = await asyncio.to_thread(_blocks_of, tasks)
            await store_slices.replace(connection, wanted, tasks, blocks)
        log.debug(
            "search_index.slice_made",
            tasks=len(tasks.places),
            blocks=len(blocks),
            closed=closed,
            seconds=round(time.monotonic() - began, 3),
        )
        return True


def _blocks_of(tasks: Tasks) -> Sequence[tuple[int, bytes]]:
    # Its algebra, which is not used here, makes a thread for each core when it is loaded, and they spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # numpy takes a tenth of a second to import, and 12 MB: a monitor of few tasks does without.
    from services.monitor.search.building import blocks_of

    return blocks_of(tasks.searched)
