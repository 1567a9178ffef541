"""Finds tasks whose worker is gone, and which nobody has any more.

A worker that is killed tells nothing of the tasks that it had. Their messages may be left, unacknowledged:
then the broker gives them to another worker in its time, and they wait. If there is no message, no worker
that has the task, and no stored end, the task is ORPHANED. Two looks have to find it so: a message may be on
its way from one place to another, or an event.

Workers are asked, and the broker is read, only after a worker has gone, and while there are such tasks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.errors import Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.gaps import learning
from services.monitor.gaps.fates import WITH_A_WORKER, fate_of, worker_of
from services.monitor.gaps.places import TaskPlaces
from services.monitor.gaps.results import AT_ONCE, ResultBackend, StoredEnd
from services.monitor.gaps.store_orphans import tasks_of_others
from services.monitor.intake.intake import Intake
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState
from services.monitor.workers.stranded import Stranded
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

# At one look; of more the newest.
MOST_TASKS = 2_000
# Rows of a worker that has just gone may be on their way to the database.
UNTIL_WRITTEN_SECONDS = 10.0
# Tasks whose messages are there are looked for again so often.
REST_SECONDS = 60.0


class Orphans:
    """Looks in its `loop`. While gaps are open (`is_gap_open`) their repair decides."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        places: TaskPlaces,
        workers: WorkerTable,
        backend: ResultBackend | None,
        is_gap_open: Callable[[], bool],
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._intake = intake
        self._places = places
        self._workers = workers
        self._backend = backend
        self._is_gap_open = is_gap_open
        self._there: Collection[WorkerName] = ()
        # When the workers were others, and when tasks were looked for, by time.monotonic().
        self._changed_at = self._looked_at = float("-inf")
        # Tasks that were found nowhere at the last look, and the time of their newest event.
        self._nowhere: Mapping[str, int] = {}
        # What was found at the last look.
        self.stranded = Stranded()
        self.loop = Loop(
            "orphans",
            self._look,
            every=pace.unheard_look,
            outlives=(Unavailable, RedisError, OSError, *DATABASE_ERRORS),
            failed="orphans.not_looked_for",
        )

    async def _look(self) -> None:
        before, self._nowhere = self._nowhere, {}
        # While events wait to be taken in, one of the task may be among them.
        if not self._intake.caught_up or self._is_gap_open():
            return
        if not before and not self._is_due():
            return
        self._looked_at = time.monotonic()
        tasks = await self._of_the_gone()
        if not tasks:
            self.stranded = Stranded()
            return
        await self._judge(tasks, before)

    def _is_due(self) -> bool:
        """Whether a worker may have gone, or it is time to look for what is left."""
        now, there = time.monotonic(), frozenset(self._workers.there())
        if there != self._there:
            self._there, self._changed_at = there, now
        return now - self._changed_at <= UNTIL_WRITTEN_SECONDS or now - self._looked_at > REST_SECONDS

    async def _of_the_gone(self) -> Sequence[TaskRecord]:
        """Returns the tasks of workers that are known to be gone. What is in memory is newer than what is
        stored."""
        async with self._database.connection() as connection:
            stored = await tasks_of_others(connection, self._workers.there(), MOST_TASKS)
        newest = [self._intake.known(task.id) or task for task in stored]
        return [task for task in newest if task.state in WITH_A_WORKER and self._is_gone(worker_of(task))]

    async def _judge(self, tasks: Sequence[TaskRecord], before: Mapping[str, int]) -> None:
        ends = await self._ends([task.id for task in tasks])
        places = await self._places.find({task.queue for task in tasks if task.queue})
        nowhere, waiting, orphans = {}, Counter[str](), 0
        for task in tasks:
            if task.id in places.waiting:
                waiting[task.worker or ""] += 1
                continue
            end, held = ends.get(task.id), places.held.tasks.get(task.id)
            # Of several monitors one puts tasks right; the others tell what they see.
            if before.get(task.id) != task.updated or not self._intake.writes:
                nowhere[task.id] = task.updated
            elif held is not None:
                self._intake.put_right(task, learning.of_held(held, 0, self._intake.redacted))
            elif end is not None and learning.ends_last_try(end, task):
                self._intake.put_right(task, learning.of_end(end, self._intake.redacted))
            elif places.lacks:
                nowhere[task.id] = task.updated
            else:
                fate = fate_of(task, self._is_gone, lambda at: False)
                orphans += (
                    self._intake.put_right(task, learning.vanished(fate)) and fate is TaskState.ORPHANED
                )
        self._nowhere = nowhere
        self.stranded = Stranded(waiting, len(nowhere), places.lacks)
        if orphans:
            log.warning("tasks.orphaned", tasks=orphans)

    async def _ends(self, task_ids: Sequence[str]) -> Mapping[str, StoredEnd]:
        found: dict[str, StoredEnd] = {}
        if self._backend is not None:
            for at in range(0, len(task_ids), AT_ONCE):
                found |= await self._backend.ends(task_ids[at : at + AT_ONCE])
        return found

    def _is_gone(self, worker: WorkerName) -> bool:
        return self._workers.is_gone(worker, self._intake.listened)
