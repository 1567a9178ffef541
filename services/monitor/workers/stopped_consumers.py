"""Stops workers from consuming queues, and has them go on when nothing holds them any more.

A pause holds the consumers of one queue, a halt those of all. So there is one list of what was stopped: what
a pause holds stays stopped when a halt ends, and the other way round. It is a table, written before a worker
is told, so that none is left standing still if this process dies. Celery keeps the options of a queue in the
worker while it does not consume it.

Several monitors may tell the same worker the same, which changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from services.kernel.database import Connection, Database
from services.kernel.errors import Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.workers.answers import Outcome
from services.monitor.workers.consuming import Consumer, bring_back, cancel
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.store_stopped import StoppedStore
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)


class StoppedConsumers:
    """`turn`: held by whoever changes what holds consumers and tells workers of it, one after another, so
    that no worker gets the commands of a stop and of its end in a wrong order.

    `ask_again` has workers asked soon what they consume, as it is after they were told something. `loop`
    tells those to go on that did not answer when that was due.
    """

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        database: Database,
        ask_again: Callable[[], None],
        pace: Pace = USUAL,
    ) -> None:
        self._control = control
        self._workers = workers
        self._database = database
        self._ask_again = ask_again
        self.turn = asyncio.Lock()
        self.loop = Loop(
            "stopped_consumers",
            self._tell,
            every=pace.halt_look,
            outlives=(Unavailable, *DATABASE_ERRORS),
            failed="stopped_consumers.not_told",
        )

    async def stop(self, consumers: Sequence[Consumer]) -> Mapping[Consumer, Reply]:
        """Tells workers to stop consuming: what they have taken already they still run. Holds the turn.

        Raises `Unavailable` while the broker is away.
        """
        if not consumers:
            return {}
        async with self._database.transaction() as connection:
            await StoppedStore(connection).add(consumers)
        replies = await cancel(self._control, consumers)
        self._ask_again()
        return replies

    async def go_on(self) -> Mapping[Consumer, Reply]:
        """Tells those workers to consume again whom nothing holds any more. Holds the turn.

        Raises `Unavailable` while the broker is away; they are told later.
        """
        async with self._database.connection() as connection:
            free = await StoppedStore(connection).free()
        if not free:
            return {}
        replies = await bring_back(self._control, self.there(free))
        done = [each for each, reply in replies.items() if reply.outcome is Outcome.DONE]
        async with self._database.transaction() as connection:
            store = StoppedStore(connection)
            await store.drop(done)
            await store.forget_old()
        if done:
            log.info("stopped_consumers.go_on", consumers=[f"{each.worker} {each.queue}" for each in done])
            self._ask_again()
        return replies

    async def of(self, queue: str, connection: Connection) -> tuple[Sequence[Consumer], Sequence[Consumer]]:
        """Returns the queue's consumers that were told to stop: those that would go on now, and all."""
        store = StoppedStore(connection)
        return [each for each in await store.free() if each.queue == queue], await store.of(queue)

    def there(self, stopped: Iterable[Consumer]) -> Sequence[Consumer]:
        """Returns those whose workers are there, or may be."""
        there = set(self._workers.there())
        return [each for each in stopped if each.worker in there or not self._control.settled()]

    async def _tell(self) -> None:
        async with self.turn:
            await self.go_on()
