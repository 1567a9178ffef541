"""Which tasks workers have, by their own word: what is run by name must be one of them."""

from __future__ import annotations

import difflib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from services.kernel.errors import FailedPrecondition, NotFound
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.control import Control
from services.monitor.workers.worker import Worker, WorkerState
from services.monitor.workers.workers import WorkerTable

# Seconds for which an answer is believed. A name that is not in it is asked for again at once.
KEPT_SECONDS = 30.0
MOST_NEAREST = 5


class RegisteredTasks:
    """What the workers of each hostname have.

    `ask_for_queues` has the workers tell the table which queues they consume.
    """

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        ask_for_queues: Callable[[Sequence[WorkerName]], Awaitable[object]],
    ) -> None:
        self._ask_for_queues = ask_for_queues
        self._control = control
        self._workers = workers
        self._known: dict[WorkerName, tuple[float, frozenset[str]]] = {}

    async def workers_for(self, task_name: str, queue: str) -> Sequence[WorkerName]:
        """Returns the workers that consume the queue and have the task.

        Raises `FailedPrecondition` if no worker consumes the queue, `NotFound` if none that does has the
        task, and `Unavailable` while the broker is away.
        """
        consumers = self._consumers(queue)
        if not consumers:
            # They may have begun to since they were asked last.
            await self._ask_for_queues(self._workers.there())
            consumers = self._consumers(queue)
        if not consumers:
            raise FailedPrecondition("QUEUE_WITHOUT_CONSUMER", self._no_consumer(queue))
        now = time.monotonic()
        found = self._having(task_name, consumers, now - KEPT_SECONDS)
        if not found:
            await self._ask(consumers, now)
            found = self._having(task_name, consumers, now)
        if not found:
            names = {name for each in consumers for name in self._known.get(each, (0.0, frozenset()))[1]}
            raise NotFound("task_name", task_name, _unknown(task_name, queue, names))
        return found

    def _consumers(self, queue: str) -> Sequence[WorkerName]:
        return [each.name for each in self._workers.all() if _consumes(each, queue)]

    def _having(self, task_name: str, consumers: Iterable[WorkerName], since: float) -> list[WorkerName]:
        known = ((each, self._known.get(each)) for each in consumers)
        return [each for each, told in known if told and told[0] >= since and task_name in told[1]]

    async def _ask(self, consumers: Sequence[WorkerName], now: float) -> None:
        answers = await self._control.ask("registered", workers=consumers)
        there = {worker.name for worker in self._workers.all() if worker.state is not WorkerState.GONE}
        self._known = {name: told for name, told in self._known.items() if name in there}
        for name in consumers:
            told = _names_in(answers.get(name.hostname, ()))
            if told is not None:
                self._known[name] = now, told

    def _no_consumer(self, queue: str) -> str:
        consumed = sorted(
            {each for worker in self._workers.all() if _there(worker) for each in worker.queues}
        )
        known = ", ".join(map(repr, consumed[:10])) or "no queue"
        return f"no worker that is there consumes the queue {queue!r}; {known} is consumed"


def _there(worker: Worker) -> bool:
    return worker.state is not WorkerState.GONE


def _consumes(worker: Worker, queue: str) -> bool:
    return _there(worker) and queue in worker.queues


def _names_in(answers: Sequence[Any]) -> frozenset[str] | None:
    """Returns the names in answers such as ["add", "mail [rate_limit=1/m]"]; None if there is none.

    Of two workers of one hostname it is not known which has what: what both have is believed.
    """
    told = [
        frozenset(each.partition(" [")[0] for each in said if isinstance(each, str))
        for said in answers
        if isinstance(said, list)
    ]
    return frozenset.intersection(*told) if told else None


def _unknown(task_name: str, queue: str, names: Iterable[str]) -> str:
    by_folded: Mapping[str, str] = {name.lower(): name for name in names}
    last = {name.rpartition(".")[2]: name for name in by_folded}
    near = difflib.get_close_matches(task_name.lower(), by_folded, MOST_NEAREST, 0.6)
    near += [last[each] for each in difflib.get_close_matches(task_name.lower(), last, MOST_NEAREST, 0.8)]
    nearest = ", ".join(repr(by_folded[each]) for each in dict.fromkeys(near[:MOST_NEAREST]))
    said = f"no worker that consumes the queue {queue!r} has a task {task_name!r}"
    return f"{said}; the nearest names are {nearest}" if nearest else f"{said}, or one with a name like it"
