"""Which workers a command goes to, and which of them can carry it out.

A command is for a hostname, so it reaches every process of it. And a worker carries out what it can: it would
shrink its pool to nothing, and says that it restarts a pool that can't be restarted. So workers are asked
first what they are, and who can't do it is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.kernel.errors import FailedPrecondition, NotFound, Unavailable
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.answers import Outcome, read_done
from services.monitor.workers.control import Control, Reply, replies_of
from services.monitor.workers.inspection import Stats
from services.monitor.workers.told_stats import stats_in
from services.monitor.workers.worker import WorkerState
from services.monitor.workers.workers import WorkerTable

# Why a worker can't do it, and what to do; empty if it can.
Refusal = Callable[[Stats], str]
MOST_TOLD = 10


@dataclass(frozen=True)
class Chosen:
    """The workers that a caller names; none: all that are there."""

    names: Sequence[WorkerName] = ()


@dataclass
class Able:
    """The workers to tell, with what they are if they were asked, and the replies of those not to tell."""

    workers: list[WorkerName] = field(default_factory=list)
    stats: dict[WorkerName, Stats] = field(default_factory=dict)
    left_out: list[Reply] = field(default_factory=list)

    def leave_out(self, worker: WorkerName, why: str) -> None:
        self.left_out.append(Reply(worker, Outcome.NOT_SENT, why))
        if worker in self.workers:
            self.workers.remove(worker)

    def refuse_if_none(self) -> None:
        """Raises `FailedPrecondition` if nobody is to be told."""
        if not self.workers and self.left_out:
            why = "; ".join(f"{reply.worker}: {reply.message}" for reply in self.left_out[:MOST_TOLD])
            more = len(self.left_out) - MOST_TOLD
            raise FailedPrecondition(
                "WORKERS_UNABLE",
                f"none of the workers was told: {why}{f'; and {more} more' if more > 0 else ''}",
            )


class Choosing:
    def __init__(self, control: Control, workers: WorkerTable) -> None:
        self._control = control
        self._workers = workers

    def named(self, chosen: Chosen) -> Able:
        """Returns the workers that are to be told, without asking them.

        Raises `NotFound` for a name that nothing was heard of, and `Unavailable` if all are meant, and none
        is there.
        """
        if not chosen.names:
            there = list(self._workers.there())
            if not there:
                raise Unavailable("a worker (none is online)")
            return Able(there)
        able = Able(list(dict.fromkeys(map(self._found, chosen.names))))
        for worker in list(able.workers):
            others = [other for other in self._others(worker) if other not in able.workers]
            if others:
                able.leave_out(
                    worker, f"the command would reach {others[0]}, too, which has its hostname; name both"
                )
        return able

    def shares_hostname(self, worker: WorkerName) -> bool:
        """Whether other processes of its hostname are there."""
        return bool(self._others(worker))

    async def able(
        self, chosen: Chosen, refusal: Refusal = lambda stats: "", *, must_answer: bool = True
    ) -> Able:
        """Asks the workers what they are, and leaves out those that can't do it.

        `must_answer`: also those that do not answer. Raises as `named` does, and `FailedPrecondition` if none
        is left.
        """
        able = (
            self.named(chosen) if self._control.settled() or chosen.names else await self._whoever_answers()
        )
        told = await self.stats(able.workers)
        for worker in list(able.workers):
            stats = told.get(worker)
            if stats is not None:
                able.stats[worker] = stats
            silence = f"no answer within {self._control.timeout} s, so what it can do is not known"
            why = refusal(stats) if stats is not None else silence if must_answer else ""
            if why:
                able.leave_out(worker, why)
        able.refuse_if_none()
        return able

    async def stats(self, workers: Sequence[WorkerName]) -> Mapping[WorkerName, Stats]:
        """Returns what the workers that answer tell of themselves."""
        if not workers:
            return {}
        answers = await self._control.ask("stats", workers=workers)
        told = {}
        for worker in workers:
            for stats in filter(None, map(stats_in, answers.get(worker.hostname, ()))):
                if worker.pid in (None, stats.pid):
                    told[worker] = stats
        return told

    async def tell(self, able: Able, command: str, arguments: Mapping[str, Any]) -> Sequence[Reply]:
        """Sends the workers a command that changes them. Returns one reply for each worker, by name."""
        answers = await self._control.ask(command, arguments, able.workers)
        silence = f"no answer within {self._control.timeout} s"
        replies = [*replies_of(able.workers, answers, silence, read_done), *able.left_out]
        return sorted(replies, key=lambda reply: str(reply.worker))

    async def _whoever_answers(self) -> Able:
        """For a monitor that has just started, and does not know yet who is there."""
        answers = await self._control.ask("stats")
        found = {
            WorkerName(hostname, stats.pid)
            for hostname, said in answers.items()
            for stats in filter(None, map(stats_in, said))
        }
        workers = sorted(found.union(self._workers.there()), key=str)
        if not workers:
            raise Unavailable("a worker (none is online)")
        return Able(workers)

    def _found(self, name: WorkerName) -> WorkerName:
        """Returns the worker of a name; of a hostname, the one that is there or was heard of last."""
        found = self._workers.find(name)
        if not found:
            if not self._control.settled():
                return name
            raise NotFound("worker", f"workers/{name}")
        there = [worker for worker in found if worker.state is not WorkerState.GONE]
        return [*there, *found][0].name

    def _others(self, worker: WorkerName) -> Sequence[WorkerName]:
        return [
            other.name
            for other in self._workers.find(WorkerName(worker.hostname))
            if other.state is not WorkerState.GONE and other.name != worker
        ]
