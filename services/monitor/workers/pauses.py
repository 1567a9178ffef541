"""Pauses of queues: workers are told to consume a queue no more, and told to go on at its end.

A pause is in a table, so it outlives the monitor. A worker that comes consumes the queues that it was started
with; the roll call hears that, and it is told to stop, too. Only those that were told to stop are told to go
on (stopped_consumers.py), not others that never consumed the queue.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName, cut
from services.monitor.tasks.values import pid_in
from services.monitor.workers.answers import Outcome
from services.monitor.workers.consuming import Consumer, consumers_in, reply_of
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.stopped_consumers import StoppedConsumers
from services.monitor.workers.store_pauses import Pause, PauseStore
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

HALTED = "new tasks are stopped by a drain or a shutdown; it goes on when that ends"


class Pauses:
    """`queues_told` is set when workers have told which queues they consume."""

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        database: Database,
        stopped: StoppedConsumers,
        queues_told: asyncio.Event,
        pace: Pace = USUAL,
    ) -> None:
        self._control = control
        self._workers = workers
        self._database = database
        self._stopped = stopped
        self._known: Mapping[str, Pause] = {}
        self.loop = Loop(
            "paused_queues",
            self._tell,
            every=pace.roll_call,
            outlives=(Unavailable, *DATABASE_ERRORS),
            woken=queues_told,
            failed="paused_queues.not_told",
        )

    @property
    def known(self) -> frozenset[str]:
        """The queues that are paused, as far as this monitor has looked: each roll call it does."""
        return frozenset(self._known)

    async def all(self) -> Mapping[str, Pause]:
        """Returns the pauses by queue; the last known while the database is away."""
        try:
            async with self._database.connection() as connection:
                self._known = await PauseStore(connection).all()
        except DATABASE_ERRORS:
            log.warning("paused_queues.as_last_known", count=len(self._known))
        return self._known

    async def refuse_paused(self, queue: str, otherwise: str) -> None:
        """Raises `FailedPrecondition` (QUEUE_PAUSED). `otherwise`: what would come of the act."""
        if (pause := (await self.all()).get(queue)) is not None:
            raise FailedPrecondition(
                "QUEUE_PAUSED",
                f"the queue {queue!r} is paused by {pause.subject} since {pause.at:%Y-%m-%d %H:%M:%S}Z, so"
                f" that {otherwise}; resume the queue first",
            )

    async def pause(self, pause: Pause) -> tuple[Pause, Sequence[Reply]]:
        """Returns the pause that holds now, and a reply of each worker that consumed the queue.

        Raises `Unavailable` if the broker has gone; the pause holds then, too.
        """
        async with self._stopped.turn:
            async with self._database.transaction() as connection:
                held = await PauseStore(connection).pause(pause)
            return held, await self._stop(pause.queue)

    async def would_pause(self, queue: str) -> Sequence[WorkerName]:
        """Returns the workers that consume the queue, or did not say whether they do, by name."""
        consumers, silent = await self._consumers(queue)
        return sorted([*(each.worker for each in consumers), *silent], key=str)

    async def resume(self, queue: str) -> Sequence[Reply]:
        """Ends a pause. Returns a reply of each worker that was told to stop and is there.

        Raises `FailedPrecondition` (QUEUE_NOT_PAUSED), and `Unavailable` while the broker is away; the pause
        has ended then, too, and workers are told later.
        """
        async with self._stopped.turn:
            async with self._database.transaction() as connection:
                ended = await PauseStore(connection).resume(queue)
                free, stopped = await self._stopped.of(queue, connection)
            if not ended and not free:
                raise _not_paused(queue)
            replies = await self._stopped.go_on()
            told = [reply for each, reply in replies.items() if each.queue == queue]
            still = [each.worker for each in self._stopped.there(stopped) if each not in free]
            held = [Reply(worker, Outcome.NOT_SENT, HALTED) for worker in still]
            return _by_name([*told, *held])

    async def would_resume(self, queue: str) -> Sequence[WorkerName]:
        """Returns the workers that would be told to go on. Raises `FailedPrecondition`."""
        async with self._database.reading() as connection:
            paused = queue in await PauseStore(connection).all()
            free, stopped = await self._stopped.of(queue, connection)
        if not paused and not free:
            raise _not_paused(queue)
        return [each.worker for each in self._stopped.there(stopped)]

    async def _tell(self) -> None:
        async with self._database.connection() as connection:
            self._known = paused = await PauseStore(connection).all()
        consumed, _ = self._workers.consumers()
        for queue in paused.keys() & consumed.keys():
            async with self._stopped.turn:
                await self._stop_if_paused(queue)

    async def _stop_if_paused(self, queue: str) -> None:
        """Tells workers, unless the queue was resumed since that was seen to be needed."""
        async with self._database.connection() as connection:
            if queue not in await PauseStore(connection).all():
                return
        replies = await self._stop(queue)
        done = [str(reply.worker) for reply in replies if reply.outcome is Outcome.DONE]
        if done:
            log.info("paused_queues.told", queue=queue, workers=done)

    async def _stop(self, queue: str) -> Sequence[Reply]:
        consumers, silent = await self._consumers(queue)
        replies = await self._stopped.stop(consumers)
        return _by_name([*replies.values(), *(reply_of(name, None) for name in silent)])

    async def _consumers(self, queue: str) -> tuple[Sequence[Consumer], Sequence[WorkerName]]:
        """Asks who consumes the queue. Returns them, and those that may and gave no answer."""
        names = await self._names()
        workers = [name for each in names.values() for name in each]
        answers = await self._control.ask("active_queues", workers=workers) if workers else {}
        consumers = [
            consumer
            for hostname, of_hostname in names.items()
            for said in answers.get(hostname, [])[:1]
            for name in of_hostname
            for consumer in [each for each in consumers_in(said, name) if each.queue == queue][:1]
        ]
        told, all_told = self._workers.consumers()
        may = set(workers) if not all_told else set(told.get(queue, ()))
        return consumers, [name for name in workers if name in may and name.hostname not in answers]

    async def _names(self) -> Mapping[str, Sequence[WorkerName]]:
        """Returns the workers that are there, by hostname. They are asked while they are not known yet."""
        names: defaultdict[str, list[WorkerName]] = defaultdict(list)
        for name in self._workers.there():
            names[name.hostname].append(name)
        if not self._control.settled():
            for hostname, said in (await self._control.ask("stats")).items():
                pids = {pid_in(each) for each in said if isinstance(each, dict)} - {None}
                known = {name.pid for name in names[hostname]}
                names[hostname] += [WorkerName(cut(hostname), pid) for pid in pids - known]
        return {hostname: each for hostname, each in names.items() if each}


def _by_name(replies: Iterable[Reply]) -> Sequence[Reply]:
    return sorted(replies, key=lambda reply: str(reply.worker))


def _not_paused(queue: str) -> FailedPrecondition:
    advice = "what a drain or a shutdown holds, Resume or Start of the system ends"
    return FailedPrecondition("QUEUE_NOT_PAUSED", f"the queue {queue!r} is not paused; {advice}")
