"""Tells workers to stop, and watches them go.

Celery's command `shutdown` has no answer. A worker says farewell when it begins to stop, and then ends the
tasks that it runs: so a farewell alone does not tell that it has gone. Of a worker on this machine its
process tells it. Of another one it is known if it ran no task when it was told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from services.monitor.tasks.names import WorkerName
from services.monitor.workers.answers import Outcome
from services.monitor.workers.choosing import Able, Choosing, Chosen
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.inspection import NotTold
from services.monitor.workers.own_host import process_of
from services.monitor.workers.worker import WorkerState
from services.monitor.workers.workers import WorkerTable

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Stopped:
    """A worker to stop. `active`: how many tasks it runs; None: it did not answer.

    `process`: of a worker on this machine.
    """

    worker: WorkerName
    active: int | None
    process: psutil.Process | None = None


class Shutdown:
    def __init__(self, control: Control, choosing: Choosing, workers: WorkerTable) -> None:
        self._control = control
        self._choosing = choosing
        self._workers = workers

    async def to_stop(self, chosen: Chosen) -> tuple[Able, Sequence[Stopped]]:
        """Returns whom the command would reach, by name, and what they run. Raises as `Choosing.able`."""
        asked_at = time.time()
        able = await self._choosing.able(chosen, must_answer=False)
        running = await self._running(able)
        stopped = [
            Stopped(worker, running.get(worker), await asyncio.to_thread(_process, able, worker, asked_at))
            for worker in sorted(able.workers, key=str)
        ]
        return able, stopped

    async def stop(self, able: Able, stopped: Sequence[Stopped], wait: float) -> Sequence[Reply]:
        """Tells them, and waits until they have gone, for `wait` seconds at most. Raises `Unavailable`."""
        await self._control.tell("shutdown", able.workers)
        deadline = time.monotonic() + wait
        gone: dict[WorkerName, Reply] = {}
        while True:
            for each in stopped:
                if each.worker not in gone and (how := self._how_gone(each)):
                    gone[each.worker] = Reply(each.worker, Outcome.DONE, how)
            if len(gone) == len(stopped) or time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_SECONDS)
        replies = [gone.get(each.worker) or self._still_there(each, wait) for each in stopped]
        return sorted([*replies, *able.left_out], key=lambda reply: str(reply.worker))

    def _how_gone(self, each: Stopped) -> str:
        """Says how it is known that a worker has gone; empty as long as it is not known."""
        if each.process is not None:
            return "its process has ended" if _has_ended(each.process) else ""
        if each.active == 0 and self._said_farewell(each.worker):
            return "it has said farewell, and ran no task"
        return ""

    def _still_there(self, each: Stopped, wait: float) -> Reply:
        tasks = "an unknown number of tasks" if each.active is None else f"{each.active} tasks"
        if each.process is not None:
            return Reply(each.worker, Outcome.STOPPING, f"its process runs on after {wait:g} s, with {tasks}")
        if self._said_farewell(each.worker):
            words = f"it has said farewell, and ends {tasks} first; whether it has can't be seen from here"
            return Reply(each.worker, Outcome.STOPPING, words)
        if each.active is None:
            return Reply(
                each.worker, Outcome.NO_ANSWER, f"neither an answer nor a farewell within {wait:g} s"
            )
        return Reply(each.worker, Outcome.STOPPING, f"no farewell within {wait:g} s; it ran {tasks}")

    def _said_farewell(self, worker: WorkerName) -> bool:
        return any(found.state is WorkerState.GONE for found in self._workers.find(worker))

    async def _running(self, able: Able) -> Mapping[WorkerName, int]:
        """Returns how many tasks each runs; nothing of two of one hostname, whose answers look the same."""
        asked = [worker for worker in able.workers if worker in able.stats]
        if not asked:
            return {}
        answers = await self._control.ask("active", {"safe": True}, asked)
        told = {hostname: said for hostname, said in answers.items() if not self._workers.shared(hostname)}
        return {
            worker: len(said[0])
            for worker in asked
            if len(said := told.get(worker.hostname, ())) == 1 and isinstance(said[0], list)
        }


def _process(able: Able, worker: WorkerName, asked_at: float) -> psutil.Process | None:
    stats = able.stats.get(worker)
    try:
        return process_of(worker.hostname, stats, asked_at) if stats is not None else None
    except NotTold:
        return None


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True
