"""Recalls at the start which queues the tasks are in that have not ended."""

from __future__ import annotations

import asyncio
import contextlib

from services.kernel.database import Database
from services.kernel.loops import UNTIL_WOKEN, Again, Backoff, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.tasks.store_recall import recalled
from services.monitor.tasks.table import TaskTable

RETRY = Backoff(0.2, 10.0)
# Events that come earlier wait for so long at most, in the relay's stream or in memory.
PATIENCE_SECONDS = 5.0


class Recall:
    """Fills the table with the queues of at most `most` tasks, once, in its `loop`."""

    def __init__(self, database: Database, table: TaskTable, most: int) -> None:
        self._database = database
        self._table = table
        self._most = most
        self._done = asyncio.Event()
        self._awaited = False
        self.loop = Loop(
            "recall",
            self._recall,
            every=RETRY.most,
            outlives=DATABASE_ERRORS,
            failed="tasks.not_recalled",
            retry=RETRY,
            woken=asyncio.Event(),
        )

    async def wait(self) -> None:
        """Waits until all is recalled, and no longer than its patience in all: the database may be away."""
        if self._awaited:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._done.wait()
        self._awaited = True

    async def _recall(self) -> Again:
        async with self._database.reading() as connection:
            async for tasks in recalled(connection, self._most):
                for task_id, sent in tasks:
                    self._table.recall(task_id, sent)
        self._done.set()
        return UNTIL_WOKEN
