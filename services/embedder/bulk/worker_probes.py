"""What a worker tells over plain HTTP, as the services do: /livez, /readyz and /metrics.

The worker's main process takes messages and hands them to the processes of its pool. It has no event loop of
asyncio, so the checks of /readyz have one in a thread. The thread begins once the pool has started, so that
the first processes of the pool are forked from a process with one thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from typing import Any

from celery import Celery, bootsteps

from services.embedder.counts import EmbeddedCounts, ToldCounts
from services.kernel import broker, metrics, probes
from services.kernel.database import Database
from services.kernel.logged_errors import Loggable
from services.kernel.settings import KernelSettings

# How often the loop of Celery's consumer notes that it turns, and how long it may fail to.
TURN_SECONDS, STUCK_SECONDS = 5.0, 20.0


class NotReady(Loggable):
    """The worker can't do its work now; the text says why."""


class Consuming:
    """Whether Celery's consumer takes messages, and whether its loop turns."""

    def __init__(self) -> None:
        self._consumer: Any = None
        self._turned_at = time.monotonic()

    @property
    def stuck(self) -> float:
        """Seconds since the loop last turned, if they are too many; else 0.

        A consumer without a connection waits for one and turns no loop: a restart would not help it.
        """
        still = time.monotonic() - self._turned_at
        return still if self._consumer is not None and still > STUCK_SECONDS else 0.0

    async def check_connection(self) -> None:
        if self._consumer is None:
            raise NotReady("no messages are taken: the worker has no connection to the broker")

    async def check_pool(self) -> None:
        # The figures of `celery inspect stats`: processes that have loaded the model and take tasks.
        if self._consumer is not None and not self._consumer.pool.info["writes"]["inqueues"]["total"]:
            raise NotReady("no process of the pool has started yet")

    def step(self) -> type[bootsteps.StartStopStep]:
        """Returns the step of Celery's consumer that notes both."""
        consuming = self

        class Consumes(bootsteps.StartStopStep):
            requires = ("celery.worker.consumer.tasks:Tasks",)

            def start(self, consumer: Any) -> None:
                consuming.begins(consumer)
                self._turns = consumer.timer.call_repeatedly(TURN_SECONDS, consuming.turns)

            def stop(self, consumer: Any) -> None:
                consuming.ends()
                self._turns.cancel()

        return Consumes

    def begins(self, consumer: Any) -> None:
        self.turns()
        self._consumer = consumer

    def ends(self) -> None:
        self._consumer = None

    def turns(self) -> None:
        self._turned_at = time.monotonic()


class WorkerProbes(probes.Probes):
    """The worker is alive while the loop of its consumer turns."""

    def __init__(self, checks: Mapping[str, probes.Check], consuming: Consuming) -> None:
        super().__init__(checks)
        self._consuming = consuming

    def live(self) -> tuple[bool, str]:
        if stuck := self._consuming.stuck:
            return False, f"consumer: its loop has not turned for {stuck:.0f} s\n"
        return True, "consumer: ok\n"


def add_probes(app: Celery, settings: KernelSettings, counts: ToldCounts) -> None:
    """Has the worker of this application answer on CELERIAC_METRICS_PORT; with 0, it does not."""
    if not settings.metrics_port:
        return
    consuming = Consuming()
    server = probes.listen(settings.listen.rpartition(":")[0], settings.metrics_port)
    # A process of the pool may outlive this one until its task ends, and must not keep the port.
    os.register_at_fork(after_in_child=server.socket.close)

    def answer() -> None:
        asyncio.run(_answer(settings, consuming, counts, server))

    class Answers(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            threading.Thread(target=answer, name="worker-probes", daemon=True).start()

    app.steps["worker"].add(Answers)
    app.steps["consumer"].add(consuming.step())


async def _answer(
    settings: KernelSettings, consuming: Consuming, counts: ToldCounts, server: ThreadingHTTPServer
) -> None:
    database = Database(settings.database_url.get_secret_value(), 1, "celeriac-embedder-worker-probes")
    client = broker.connect(settings)
    answers = WorkerProbes(
        {
            "connection": consuming.check_connection,
            "pool": consuming.check_pool,
            "database": database.check,
            "broker": client.ping,
        },
        consuming,
    )
    answers.serves(True)
    registry = metrics.new_registry()
    counts.count_into(EmbeddedCounts(registry, "bulk"))
    probes.answer(server, answers, registry)
    await asyncio.Event().wait()
