"""Workers that an operator deletes, at whichever monitor: all of them forget the worker."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.store_deletions import DeletionStore
from services.monitor.workers.workers import WorkerTable


class Deletions:
    """Looks in its `loop` for those that were deleted at other monitors.

    `on_forgotten` is called when this monitor has forgotten a worker.
    """

    def __init__(
        self,
        database: Database,
        workers: WorkerTable,
        pace: Pace = USUAL,
        on_forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._workers = workers
        self._on_forgotten = on_forgotten
        self.loop = Loop(
            "deleted_workers",
            self._look,
            every=pace.unheard_look,
            outlives=DATABASE_ERRORS,
            failed="workers.deletions_not_read",
        )

    async def delete(self, name: WorkerName) -> None:
        """Raises `FailedPrecondition` if the worker is ONLINE."""
        self._workers.refuse_online(name)
        async with self._database.transaction() as connection:
            await DeletionStore(connection).add(name)
        self._take_in(name, time.monotonic())

    async def _look(self) -> None:
        async with self._database.connection() as connection:
            deleted = await DeletionStore(connection).all()
        now = time.monotonic()
        for name, age in deleted.items():
            self._take_in(name, now - age)

    def _take_in(self, name: WorkerName, moment: float) -> None:
        if self._workers.deleted(name, moment):
            self._on_forgotten()
