"""Tells workers that come what was revoked while they were away: they keep it in memory only.

A worker that is started asks its neighbours before it takes a task (`Hello`). One that is started without
that (`--without-mingle`), or that missed a command, is told by Celery's command `revoke`, all at once, as
soon as it is heard. Several monitors may tell the same worker the same, which changes nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import groupby

import structlog

from services.kernel.errors import Unavailable
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.tasks import Task
from services.monitor.workers.answers import Outcome
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.store_revoked_tasks import AT_ONCE, RevokedTask, RevokedTaskStore
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

# Tasks of one command. A worker asks its result backend for each of them before it answers.
TOLD_AT_ONCE = 200
# Of several answers of a worker the first of these counts.
WORST_FIRST = (
    Outcome.NO_ANSWER,
    Outcome.FAILED,
    Outcome.DONE,
    Outcome.FLAGGED,
    Outcome.UNKNOWN_TASK,
)


class RevokedTasks:
    """`kept`: how long a revocation is remembered if the end of its task is never heard.

    `arrivals` is set when a worker is heard for the first time.
    """

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        sessions: Sessions,
        kept: dt.timedelta,
        arrivals: asyncio.Event,
        pace: Pace = USUAL,
    ) -> None:
        self._control = control
        self._workers = workers
        self._sessions = sessions
        self._kept = kept
        self._arrivals = arrivals
        self._again = pace.revoked_again
        self._known: Sequence[RevokedTask] = ()
        self.loop = Loop(
            "revoked_tasks",
            self._tell,
            every=pace.roll_call,
            outlives=(Unavailable, *DATABASE_ERRORS),
            woken=arrivals,
            failed="revoked_tasks.not_told",
        )

    def until(self, task: Task | None, now: dt.datetime) -> dt.datetime:
        """Returns when a revocation of the task is forgotten; a task may have to wait for its time."""
        eta = task.eta if task is not None else None
        return max(now, eta or now) + self._kept

    async def command(self, task: RevokedTask, own: WorkerName | None) -> Sequence[Reply]:
        """Tells the workers that are there, and later those that don't answer. See `Control.revoke`."""
        task_id, terminate, signal = task.task_id, task.terminate, task.signal
        try:
            replies = await self._control.revoke(task_id, own=own, terminate=terminate, signal=signal)
        except Unavailable:
            self._workers.missed_a_revocation(self._workers.there())
            raise
        silent = [reply.worker for reply in replies if reply.outcome is Outcome.NO_ANSWER]
        self._workers.missed_a_revocation(silent)
        return replies

    async def remember(self, tasks: Sequence[Task], *, terminate: bool, signal: str) -> None:
        """Remembers that the tasks are revoked, so that workers that come are told."""
        now = dt.datetime.now(dt.UTC)
        async with self._sessions.transaction() as session:
            store = RevokedTaskStore(session)
            for at in range(0, len(tasks), AT_ONCE):
                some = tasks[at : at + AT_ONCE]
                revoked = [RevokedTask(task.id, terminate, signal) for task in some]
                await store.remember_several(revoked, now, [self.until(task, now) for task in some])

    async def command_many(self, task_ids: Sequence[str], *, terminate: bool, signal: str) -> Sequence[Reply]:
        """Tells the workers that are there, and later those that don't answer.

        Each command has many tasks, and each worker gets one reply: the worst of its answers. Raises
        `Unavailable` if there is no worker, none answers, or the broker is away.
        """
        worst: dict[str, list[Reply]] = {}
        try:
            for at in range(0, len(task_ids), TOLD_AT_ONCE):
                some = task_ids[at : at + TOLD_AT_ONCE]
                for reply in await self._control.revoke(some, terminate=terminate, signal=signal):
                    worst.setdefault(str(reply.worker), []).append(reply)
        except Unavailable:
            self._workers.missed_a_revocation(self._workers.there())
            raise
        replies = [min(each, key=lambda reply: WORST_FIRST.index(reply.outcome)) for each in worst.values()]
        silent = [reply.worker for reply in replies if reply.outcome is Outcome.NO_ANSWER]
        self._workers.missed_a_revocation(silent)
        return sorted(replies, key=lambda reply: str(reply.worker))

    async def that_hold(self) -> Sequence[RevokedTask]:
        """Returns the revocations of tasks that may still run; the last known while the database is away."""
        try:
            await self._read()
        except DATABASE_ERRORS:
            log.warning("revoked_tasks.as_last_known", count=len(self._known))
        return self._known

    async def _read(self) -> None:
        async with self._sessions.transaction() as session:
            self._known = await RevokedTaskStore(session).that_hold(dt.datetime.now(dt.UTC))

    async def _tell(self) -> Again | None:
        newcomers = self._workers.to_be_told_of_revocations()
        if not newcomers:
            return None
        await self._read()
        answered = set(newcomers)
        for arguments in commands(self._known):
            answers = await self._control.ask("revoke", arguments, newcomers)
            answered = {name for name in answered if answers.get(name.hostname)}
        self._workers.told_of_revocations(sorted(answered, key=str))
        if self._known and answered:
            log.info("revoked_tasks.told", workers=sorted(map(str, answered)), tasks=len(self._known))
        # One that is just starting hears no commands yet. A silent one may be so for long.
        left = set(newcomers) - answered
        return None if left.isdisjoint(self._workers.online()) else Again(self._again)


def commands(held: Sequence[RevokedTask]) -> Sequence[Mapping[str, object]]:
    """Returns the arguments of `revoke`: one for all, and one more for each signal to kill with."""

    def kind(task: RevokedTask) -> tuple[bool, str]:
        return task.terminate, task.signal if task.terminate else ""

    # Stable: within a kind the oldest stay first.
    return [
        {"task_id": [each.task_id for each in group], "terminate": terminate, "signal": signal or "SIGTERM"}
        for (terminate, signal), group in groupby(sorted(held, key=kind), kind)
    ]
