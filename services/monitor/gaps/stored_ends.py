"""Finds ends that the result backend stores of tasks whose end no event told.

So it is of tasks that are declared with `send_events=False`, and of all tasks of a worker that was told to
send no more events. The newest tasks that have not ended are looked up at each look, and with them a page of
the others, one page after another. An end holds at the second look that finds it: at the first, its event may
be on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.gaps import learning
from services.monitor.gaps.results import AT_ONCE, ResultBackend
from services.monitor.gaps.store_unended import UnendedStore
from services.monitor.gaps.unended_rows import UnendedRows
from services.monitor.intake.intake import Intake
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TOLD_ENDS, UNTOLD_ENDS


class StoredEnds:
    """Looks in its `loop`."""

    def __init__(
        self, database: Database, intake: Intake, backend: ResultBackend, pace: Pace = USUAL
    ) -> None:
        self._database = database
        self._intake = intake
        self._backend = backend
        # Where the next page of older tasks begins; None: after the newest ones.
        self._after: TaskRecord | None = None
        self._rows = UnendedRows(intake)
        # Tasks of which an end was found at the last look, and the time of their newest event.
        self._found: Mapping[str, int] = {}
        self.loop = Loop(
            "stored_ends",
            self._look,
            every=pace.unheard_look,
            outlives=(RedisError, OSError, *DATABASE_ERRORS),
            failed="tasks.stored_ends_not_read",
        )

    async def _look(self) -> None:
        before, self._found = self._found, {}
        if not self._rows.may_be:
            return
        found = {}
        for page in await self._pages():
            newest = [self._intake.known(task.id) or task for task in page]
            open_ones = {task.id: task for task in newest if task.state not in TOLD_ENDS}
            for task_id, end in (await self._backend.ends(list(open_ones))).items() if open_ones else ():
                task = open_ones[task_id]
                nobody_has_it = task.state in UNTOLD_ENDS and learning.ends_last_try(end, task)
                if end.at < learning.begun(task) and not nobody_has_it:
                    continue  # of an earlier try
                if before.get(task_id) == task.updated:
                    self._intake.put_right(task, learning.of_end(end, self._intake.redacted))
                else:
                    found[task_id] = task.updated
        self._found = found

    async def _pages(self) -> Sequence[Sequence[TaskRecord]]:
        self._rows.are_read()
        async with self._database.connection() as connection:
            store = UnendedStore(connection)
            newest = await store.newest(None, AT_ONCE)
            self._rows.were_found(bool(newest))
            if len(newest) < AT_ONCE:
                self._after = None
                return [newest]
            older = await store.newest(self._after or newest[-1], AT_ONCE)
        self._after = older[-1] if len(older) == AT_ONCE else None
        return [newest, older]
