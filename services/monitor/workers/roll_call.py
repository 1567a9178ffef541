"""The roll call: every worker is asked for a word from time to time.

Events alone don't tell of all workers: one that sends no heartbeats (`--without-heartbeat`) is not heard
while it has no tasks, and one that was there before the monitor is not heard before its next event. The
command `stats` is the one whose answer names the process, so that it is known whose word it is where two
have one hostname.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from services.kernel.errors import Unavailable
from services.kernel.loops import Loop
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.values import pid_in
from services.monitor.workers.control import Control
from services.monitor.workers.worker import Worker
from services.monitor.workers.workers import WorkerTable

MOST_POOL = 100


class RollCall:
    """Asks in its `loop`. `on_worker` gets each worker whose state has changed by its answer."""

    def __init__(
        self, control: Control, workers: WorkerTable, on_worker: Callable[[Worker], None], pace: Pace = USUAL
    ) -> None:
        self._control = control
        self._workers = workers
        self._on_worker = on_worker
        # Whether workers were asked once, and had their time to answer.
        self.made = False
        self.loop = Loop(
            "roll_call",
            self._call,
            every=pace.roll_call,
            outlives=(Unavailable,),
            failed="workers.not_called",
        )

    async def _call(self) -> None:
        asked_at = time.monotonic()
        answers = await self._control.ask("stats")
        now, arrived = time.monotonic(), int(time.time() * 1e6)
        for name, pool in _present(answers):
            worker = self._workers.answered(name, now, arrived, asked_at, pool)
            if worker is not None:
                self._on_worker(worker)
        self.made = True


def _present(answers: Mapping[str, Sequence[Any]]) -> Iterator[tuple[WorkerName, str]]:
    """Yields the workers that answered, each with the name of its pool, as in "prefork".

    Anything may answer in a worker's place: what has not the form of an answer is passed over.
    """
    for hostname, said in answers.items():
        for each in said:
            if isinstance(each, Mapping) and (pid := pid_in(each)) is not None:
                yield WorkerName(hostname, pid), _pool_in(each)


def _pool_in(said: Mapping[str, Any]) -> str:
    """Returns "prefork" for {"pool": {"implementation": "celery.concurrency.prefork:TaskPool"}}."""
    pool = said.get("pool")
    implementation = pool.get("implementation") if isinstance(pool, Mapping) else None
    if not isinstance(implementation, str):
        return ""
    return implementation.partition(":")[0].rpartition(".")[2][:MOST_POOL]
