"""Drains, ends and restarts workers: long work, of which one goes on at a time, in one monitor at a time.

Each look does what can be done now, and writes down what each worker has come to. So another monitor goes on
where one that died was.

- A drain follows until a worker consumes nothing and has nothing left to run, or is gone.
- A shutdown then tells all workers to end (warm: a running task finishes), and waits until each is gone.
- A restart tells one worker at a time to end, and goes on when another process of its hostname is online. One
  that is not back in time ends the work: the next ones would be missed, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.errors import Unavailable
from services.kernel.leases import Lease
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.halting.halt import Concerned, Kind, Step, StepState, Work
from services.monitor.halting.halting import Halting
from services.monitor.halting.store_halts import HaltStore
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.consuming import consumers_of
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.worker import WorkerState
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

LEASES, LEASE = "celery_monitor_leases", "halt_works"
# A worker that was told to end, and has nothing to run, has so long until it counts as not ended.
ENDING_SECONDS = 60.0
NOT_BACK = "NOT_BACK"
RUNS_NOTHING = "it runs nothing"
WOULD_IDLE = "a worker that is restarted would consume nothing"


class Working:
    def __init__(
        self,
        database: Database,
        control: Control,
        workers: WorkerTable,
        halting: Halting,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._control = control
        self._workers = workers
        self._halting = halting
        self._lease = Lease(database, LEASES, LEASE, pace)
        self._soon = Again(pace.halt_work)
        self._woken = asyncio.Event()
        self.loop = Loop(
            "halt_works",
            self._look,
            every=pace.halt_look,
            outlives=(Unavailable, *DATABASE_ERRORS),
            woken=self._woken,
            failed="halt_works.failed",
        )

    async def concerned(self, *, online_only: bool = False) -> Sequence[Concerned]:
        """Returns the workers that an act would reach, and what they run. Raises `Unavailable`."""
        names = self._workers.online() if online_only else self._workers.there()
        held = await self._tasks_of(names)
        return [Concerned(name, held.get(name)) for name in sorted(names, key=str)]

    async def drain(self, actor: str, seconds: float) -> tuple[str, Sequence[Reply]]:
        replies = await self._halting.stop(actor)
        return await self._begin(Kind.DRAIN, actor, seconds, self._workers.there()), replies

    async def shut_down(self, actor: str, seconds: float) -> str:
        await self._halting.stop(actor, shut_down=True)
        return await self._begin(Kind.SHUTDOWN, actor, seconds, self._workers.there(), ENDING_SECONDS)

    async def restart(self, actor: str, patience: float) -> str:
        """Raises `FailedPrecondition` while the system is drained."""
        await self._halting.refuse_stopped(WOULD_IDLE)
        return await self._begin(Kind.RESTART, actor, 0.0, self._workers.online(), patience)

    async def _begin(
        self, kind: Kind, actor: str, seconds: float, workers: Sequence[WorkerName], patience: float = 0.0
    ) -> str:
        names = sorted(workers, key=str)
        async with self._database.transaction() as connection:
            operation = await HaltStore(connection).begin(kind, actor, seconds, patience, names)
        told = list(map(str, names))
        log.warning("halt_work.begins", kind=kind.value, operation=operation, workers=told)
        self._woken.set()
        return operation

    async def _look(self) -> Again | None:
        async with self._database.transaction() as connection:
            found = await HaltStore(connection).work()
        if found is None:
            return None
        if not await self._lease.hold():
            return self._soon
        work, late = found
        over = {id(step) for step in work.steps if step.state.over}
        before = [step.dump() for step in work.steps]
        note = await self._go_on(work, late)
        ended = [step for step in work.steps if step.state.over and id(step) not in over]
        failed = sum(step.state is StepState.FAILED for step in ended)
        if before != [step.dump() for step in work.steps] or note:
            async with self._database.transaction() as connection:
                await self._lease.fence(connection)
                store = HaltStore(connection)
                await store.save(work, 0 if note else len(ended), failed)
                if note:
                    await store.give_up(work, note)
        return self._soon

    async def _go_on(self, work: Work, late: bool) -> str:
        """Does what can be done now. Returns why the work is given up; empty if it is not."""
        if work.kind is Kind.RESTART:
            return await self._restart_next(work)
        waiting = [step for step in work.steps if step.state is StepState.WAITING]
        if waiting:
            await self._follow_drain(work, waiting, late)
        if work.kind is Kind.SHUTDOWN:
            await self._end_all(work, late)
        return ""

    async def _follow_drain(self, work: Work, waiting: Sequence[Step], late: bool) -> None:
        names = [step.worker for step in waiting if not self._is_gone(step.worker)]
        held = await self._tasks_of(names)
        consumers, silent = await consumers_of(self._control, names)
        consuming = {each.worker for each in consumers} | set(silent)
        for step in waiting:
            if step.worker not in names:
                step.state, step.note = StepState.DONE, "it is gone"
            elif held.get(step.worker) == 0 and step.worker not in consuming:
                # Of a shutdown, its end is still to come.
                drained = work.kind is Kind.DRAIN
                step.state, step.note = (StepState.DONE if drained else StepState.WAITING), RUNS_NOTHING
            else:
                tasks = held.get(step.worker)
                step.note = "it does not answer" if tasks is None else f"tasks left to run: {tasks}"
                if late and work.kind is Kind.DRAIN:
                    step.state = StepState.FAILED

    async def _end_all(self, work: Work, late: bool) -> None:
        waiting = [step for step in work.steps if step.state is StepState.WAITING]
        if waiting and (late or all(step.note == RUNS_NOTHING for step in waiting)):
            await self._tell_to_end(waiting)
        now = time.time()
        for step in work.steps:
            if step.state is StepState.TOLD and self._is_gone(step.worker):
                # It says farewell before the tasks that it runs have ended, and ends after them.
                step.state = StepState.FAILED if step.note else StepState.DONE
                step.note = (
                    f"it said farewell, and ends after its tasks: {step.note}" if step.note else "it ends"
                )
            elif step.state is StepState.TOLD and now - step.told_at > work.patience:
                step.state = StepState.FAILED
                step.note = f"it has not ended within {work.patience:.0f} s; it ends after what it runs"

    async def _restart_next(self, work: Work) -> str:
        step = next((each for each in work.steps if not each.state.over), None)
        if step is None:
            return ""
        if back := self._came_after(step.worker):
            step.state, step.note = StepState.DONE, f"back as {back}"
        elif step.state is StepState.WAITING:
            await self._tell_to_end([step])
        elif time.time() - step.told_at > work.patience:
            is_gone = self._is_gone(step.worker)
            what = "it has ended, and nothing has started it again" if is_gone else "it has not ended"
            step.state, step.note = StepState.FAILED, what
            left = sum(each.state is StepState.WAITING for each in work.steps)
            return (
                f"{NOT_BACK}: {step.worker} is not back after {work.patience:g} s: {what};"
                f" workers after it, left as they are: {left}"
            )
        return ""

    async def _tell_to_end(self, steps: Sequence[Step]) -> None:
        # It answers nothing: it ends while it reads the command. That it has ended is seen by its farewell.
        await self._control.tell("shutdown", [step.worker for step in steps])
        for step in steps:
            step.state, step.told_at = StepState.TOLD, time.time()
            step.note = "" if step.note == RUNS_NOTHING else step.note
        log.warning("halt_work.told_to_end", workers=[str(step.worker) for step in steps])

    async def _tasks_of(self, names: Collection[WorkerName]) -> dict[WorkerName, int]:
        """Returns how many tasks each has to run, without those that did not answer.

        A task that waits for its time is none: it goes back to its queue when the worker ends.
        """
        if not names:
            return {}
        asked = list(names)
        active = await self._control.ask("active", {"safe": True}, asked)
        reserved = await self._control.ask("reserved", workers=asked)
        counts = {}
        for name in asked:
            said = [*active.get(name.hostname, ()), *reserved.get(name.hostname, ())]
            if name.hostname in active and name.hostname in reserved:
                counts[name] = sum(len(each) for each in said if isinstance(each, list))
        return counts

    def _is_gone(self, worker: WorkerName) -> bool:
        found = self._workers.find(worker)
        return all(each.state is WorkerState.GONE for each in found) if found else self._control.settled()

    def _came_after(self, worker: WorkerName) -> WorkerName | None:
        """Returns another process of the hostname that is online, once this one is gone."""
        others = [
            each.name
            for each in self._workers.find(WorkerName(worker.hostname))
            if each.name != worker and each.state is WorkerState.ONLINE
        ]
        return others[0] if others and self._is_gone(worker) else None
