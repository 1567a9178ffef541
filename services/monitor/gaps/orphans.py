"""Finds tasks whose worker is gone, and which nobody has any more.

A worker that is killed tells nothing of the tasks that it had. Their messages may be left, unacknowledged:
then the broker gives them to another worker in its time, and they wait. If there is no message, no worker
that has the task, and no stored end, the task is ORPHANED. Two looks have to find it so: a message may be on
its way from one place to another, or an event.

A worker that stood still, or was cut off, is taken for gone, too. When it is back, it is asked what it has.

Workers are asked, and the broker is read, only after a worker has gone, and while there are such tasks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.errors import Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.gaps import learning
from services.monitor.gaps.fates import WITH_A_WORKER, fate_of, worker_of
from services.monitor.gaps.places import Places, TaskPlaces
from services.monitor.gaps.results import AT_ONCE, ResultBackend, StoredEnd
from services.monitor.gaps.store_orphans import orphans_of, queues_of_others, tasks_of_others
from services.monitor.gaps.waiting import MOST_MESSAGES
from services.monitor.intake.intake import Intake
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState
from services.monitor.workers.stranded import Stranded
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

# At one look; of more the newest. As many messages are looked at on the broker.
MOST_TASKS = MOST_MESSAGES
# Of these, so many are read and judged at a time.
AT_A_TIME = 2_000
# Rows of a worker that has just gone may be on their way to the database.
UNTIL_WRITTEN_SECONDS = 10.0
# Tasks whose messages are there are looked for again so often.
REST_SECONDS = 60.0


@dataclass
class Found:
    """What a look has found: tasks that are nowhere, with the time of their newest event; how many wait, by
    the hostname of their worker; and how many are orphans now."""

    nowhere: dict[str, int] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)
    orphans: int = 0


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
        await self._take_back()
        found, places = Found(), None
        async for tasks in self._of_the_gone():
            places = places or await self._places.find(await self._queues())
            await self._judge(tasks, places, before, found)
        self._nowhere = found.nowhere
        lacks = "" if places is None else places.lacks
        self.stranded = Stranded(found.waiting, len(found.nowhere), lacks)
        if found.orphans:
            log.warning("tasks.orphaned", tasks=found.orphans)

    async def _take_back(self) -> None:
        """Puts right orphans whose worker is back: it stood still, or was cut off, and has them yet."""
        if not self._intake.writes:
            return
        async with self._database.connection() as connection:
            stored = await orphans_of(connection, self._workers.there(), AT_A_TIME)
        newest = [self._intake.known(task.id) or task for task in stored]
        orphans = [task for task in newest if task.state is TaskState.ORPHANED]
        if not orphans:
            return
        held = await self._places.held_by({worker_of(task).hostname for task in orphans})
        for task in orphans:
            if (has := held.tasks.get(task.id)) is not None:
                self._intake.put_right(task, learning.of_held(has, 0, self._intake.redacted))

    def _is_due(self) -> bool:
        """Whether a worker may have gone, or it is time to look for what is left."""
        now, there = time.monotonic(), frozenset(self._workers.there())
        if there != self._there:
            self._there, self._changed_at = there, now
        return now - self._changed_at <= UNTIL_WRITTEN_SECONDS or now - self._looked_at > REST_SECONDS

    async def _of_the_gone(self) -> AsyncIterator[Sequence[TaskRecord]]:
        """Yields the tasks of workers that are known to be gone, some at a time. What is in memory is newer
        than what is stored."""
        last = None
        for _ in range(0, MOST_TASKS, AT_A_TIME):
            async with self._database.connection() as connection:
                stored = await tasks_of_others(connection, self._workers.there(), last, AT_A_TIME)
            newest = [self._intake.known(task.id) or task for task in stored]
            of_gone = [
                task for task in newest if task.state in WITH_A_WORKER and self._is_gone(worker_of(task))
            ]
            if of_gone:
                yield of_gone
            if len(stored) < AT_A_TIME:
                return
            last = stored[-1]

    async def _queues(self) -> Sequence[str]:
        async with self._database.connection() as connection:
            return await queues_of_others(connection, self._workers.there())

    async def _judge(
        self, tasks: Sequence[TaskRecord], places: Places, before: Mapping[str, int], found: Found
    ) -> None:
        ends = await self._ends([task.id for task in tasks if task.id not in places.waiting])
        for task in tasks:
            if task.id in places.waiting:
                found.waiting[task.worker or ""] += 1
                continue
            end, held = ends.get(task.id), places.held.tasks.get(task.id)
            # Of several monitors one puts tasks right; the others tell what they see.
            if before.get(task.id) != task.updated or not self._intake.writes:
                found.nowhere[task.id] = task.updated
            elif held is not None:
                self._intake.put_right(task, learning.of_held(held, 0, self._intake.redacted))
            elif end is not None and learning.ends_last_try(end, task):
                self._intake.put_right(task, learning.of_end(end, self._intake.redacted))
            elif places.lacks:
                found.nowhere[task.id] = task.updated
            else:
                fate = fate_of(task, self._is_gone, lambda at: False)
                changed = self._intake.put_right(task, learning.vanished(fate))
                found.orphans += changed and fate is TaskState.ORPHANED

    async def _ends(self, task_ids: Sequence[str]) -> Mapping[str, StoredEnd]:
        found: dict[str, StoredEnd] = {}
        if self._backend is not None:
            for at in range(0, len(task_ids), AT_ONCE):
                found |= await self._backend.ends(task_ids[at : at + AT_ONCE])
        return found

    def _is_gone(self, worker: WorkerName) -> bool:
        return self._workers.is_gone(worker, self._intake.listened)
