"""Finds tasks that have ended without an event, by what their workers are running.

Celery (5.4 to 5.7) sends no event of the end of a task that raises `Ignore`, nor of one that rejects its
message and has it put back (`Reject(requeue=True)`) after the message was acknowledged, as it is before the
task runs without `acks_late`. Nor does a worker that was told to send no more events while it ran the task.

A worker knows what it runs. So a task that is shown as started, by a worker that does not run it, has ended.
How, the result backend may tell; otherwise it is not known. Two looks have to find it so: at the first, the
event of its end may be on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.errors import Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.gaps import learning
from services.monitor.gaps.results import AT_ONCE, ResultBackend
from services.monitor.gaps.unended_rows import UnendedRows
from services.monitor.intake.intake import Intake
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_started import started_tasks
from services.monitor.tasks.tasks import TaskState
from services.monitor.workers.control import Control
from services.monitor.workers.workers import WorkerTable

# Workers run this many tasks at once, or fewer; of more the newest are looked at.
MOST_TASKS = 5_000


class UnheardEnds:
    """Looks in its `loop`. Tasks of workers that are not there, or do not answer, are left as they are."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        control: Control,
        workers: WorkerTable,
        backend: ResultBackend | None = None,
        pace: Pace = USUAL,
    ) -> None:
        self._backend = backend
        self._database = database
        self._intake = intake
        self._control = control
        self._workers = workers
        # Tasks that their worker was not running at the last look, and when they were started.
        self._missing: Mapping[str, int] = {}
        self._rows = UnendedRows(intake)
        self.loop = Loop(
            "unheard_ends",
            self._look,
            every=pace.unheard_look,
            outlives=(Unavailable, RedisError, OSError, *DATABASE_ERRORS),
            failed="tasks.not_looked_for",
        )

    async def _look(self) -> None:
        before, self._missing = self._missing, {}
        if not self._rows.may_be:
            return
        tasks = await self._shown_as_started()
        running = await self._running({_worker_of(task).hostname for task in tasks})
        missing, gone = {}, []
        for task in tasks:
            of_worker = running.get(task.worker or "")
            if of_worker is None or task.id in of_worker or task.state is not TaskState.STARTED:
                continue
            if before.get(task.id) == task.started:
                gone.append(task)
            else:
                missing[task.id] = task.started
        self._missing = missing
        await self._put_right(gone)

    async def _put_right(self, gone: Sequence[TaskRecord]) -> None:
        for at in range(0, len(gone), AT_ONCE):
            tasks = gone[at : at + AT_ONCE]
            ends = await self._backend.ends([task.id for task in tasks]) if self._backend else {}
            for task in tasks:
                end = ends.get(task.id)
                told = end is not None and learning.ends_last_try(end, task)
                learn = learning.of_end(end, self._intake.redacted) if end and told else learning.vanish
                self._intake.put_right(task, learn)

    async def _shown_as_started(self) -> Sequence[TaskRecord]:
        """Returns the tasks of workers that are there. What is in memory is newer than what is stored."""
        self._rows.are_read()
        async with self._database.connection() as connection:
            stored = await started_tasks(connection, MOST_TASKS)
        self._rows.were_found(bool(stored))
        there = set(self._workers.there())
        newest = [self._intake.known(task.id) or task for task in stored]
        return [task for task in newest if task.state is TaskState.STARTED and _worker_of(task) in there]

    async def _running(self, hostnames: set[str]) -> Mapping[str, set[str]]:
        """Returns the ids of the tasks that workers run, by hostname: of those that have all answered."""
        asked = [worker for worker in self._workers.there() if worker.hostname in hostnames]
        if not asked:
            return {}
        answers = await self._control.ask("active", {"safe": True}, workers=asked)
        running = {}
        for hostname, count in Counter(worker.hostname for worker in asked).items():
            said = [each for each in answers.get(hostname, ()) if isinstance(each, list)]
            if len(said) >= count:
                running[hostname] = {task_id for each in said for task_id in _ids_in(each)}
        return running


def _worker_of(task: TaskRecord) -> WorkerName:
    return WorkerName(task.worker or "", task.worker_pid)


def _ids_in(said: Sequence[Any]) -> Sequence[Any]:
    """Anything may answer in a worker's place: what has not the form of an answer is passed over."""
    ids = [each.get("id") for each in said if isinstance(each, Mapping)]
    return [task_id for task_id in ids if isinstance(task_id, str)]
