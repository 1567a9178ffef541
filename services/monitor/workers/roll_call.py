"""The roll call: every worker is asked for a word from time to time.

Events alone don't tell of all workers: one that sends no heartbeats (`--without-heartbeat`) is not heard
while it has no tasks, and one that was there before the monitor is not heard before its next event. The
command `stats` is the one whose answer names the process, so that it is known whose word it is where two
have one hostname.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from services.kernel.errors import Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName, cut
from services.monitor.tasks.values import pid_in, seconds_in
from services.monitor.workers.consumed import queues_in
from services.monitor.workers.control import Control
from services.monitor.workers.event_switch import EventSwitch, Present
from services.monitor.workers.told_stats import concurrency_in, pool_kind_in
from services.monitor.workers.worker import Worker
from services.monitor.workers.workers import WorkerTable

OnStats: TypeAlias = Callable[[Mapping[str, Sequence[Any]], float], Awaitable[None]]


class RollCall:
    """Asks in its `loop`, and at once when `newcomers` is set.

    `on_worker` gets each worker whose state has changed by its answer. `on_other_queues` gets a worker that
    consumes other queues than it did, and since when (time.monotonic()) that may be so. `switch` tells those
    that answered to send events of their tasks; None: nobody is told. `queues_told` is set when workers have
    told which queues they consume.
    """

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        on_worker: Callable[[Worker], None],
        on_other_queues: Callable[[WorkerName, float], None],
        newcomers: asyncio.Event,
        switch: EventSwitch | None,
        pace: Pace = USUAL,
        queues_told: asyncio.Event | None = None,
    ) -> None:
        self._queues_told = queues_told
        # Each gets the answers by hostname, and when they were asked for, in seconds since 1970.
        self.on_stats: list[OnStats] = []
        self._switch = switch
        self._control = control
        self._workers = workers
        self._on_worker = on_worker
        self._on_other_queues = on_other_queues
        # Whether workers were asked once, and had their time to answer.
        self.made = False
        self.loop = Loop(
            "roll_call",
            self._call,
            every=pace.roll_call,
            outlives=(Unavailable, *DATABASE_ERRORS),
            woken=newcomers,
            failed="workers.not_called",
        )

    async def _call(self) -> None:
        asked_at, asked_time = time.monotonic(), time.time()
        answers = await self._control.ask("stats")
        now, arrived = time.monotonic(), int(time.time() * 1e6)
        present = list(_present(answers))
        for each in present:
            worker = self._workers.answered(
                each.name, now, arrived, asked_at, each.pool, each.processed, each.concurrency
            )
            if worker is not None:
                self._on_worker(worker)
        self.made = True
        for tell in self.on_stats:
            await tell(answers, asked_time)
        await self.ask_for_queues([each.name for each in present])
        if self._switch is not None:
            await self._switch.switch_on(present, dt.datetime.now(dt.UTC))

    async def ask_for_queues(self, workers: Sequence[WorkerName]) -> Mapping[str, frozenset[str]]:
        """Takes in which queues the workers consume.

        Returns the queues by hostname; none of a hostname of which it is not known whose word it is.
        """
        if not workers:
            return {}
        asked_at = time.monotonic()
        answers = await self._control.ask("active_queues", workers=workers)
        told = {hostname: queues_in(said) for hostname, said in answers.items()}
        for hostname, queues in told.items():
            unsure = self._workers.consumes(hostname, queues, asked_at)
            if unsure is not None:
                self._on_other_queues(*unsure)
        if self._queues_told is not None:
            self._queues_told.set()
        return {hostname: queues for hostname, queues in told.items() if queues is not None}


def _present(answers: Mapping[str, Sequence[Any]]) -> Iterator[Present]:
    """Yields the workers that answered.

    Anything may answer in a worker's place: what has not the form of an answer is passed over.
    """
    for hostname, said in answers.items():
        for each in said:
            if isinstance(each, Mapping) and (pid := pid_in(each)) is not None:
                age = seconds_in(each, "uptime")
                yield Present(
                    WorkerName(cut(hostname), pid),
                    pool_kind_in(each),
                    None if age is None else dt.timedelta(seconds=age),
                    _processed_in(each),
                    concurrency_in(each),
                )


def _processed_in(said: Mapping[str, Any]) -> int:
    """Returns 5 for {"total": {"add": 2, "fail": 3}}."""
    total = said.get("total")
    counts = total.values() if isinstance(total, Mapping) else ()
    return sum(count for count in counts if type(count) is int and count > 0)
