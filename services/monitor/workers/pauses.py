"""Pauses of queues: workers are told to consume a queue no more, and told to go on at its end.

A pause is in a table, so it outlives the monitor. A worker that comes consumes the queues that it was started
with; the roll call hears that, and it is told to stop, too. Which workers were told is in a table as well:
only those are told to go on, not others that never consumed the queue. Celery keeps the options of a queue in
the worker while it does not consume it.

Several monitors may tell the same worker the same, which changes nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName, cut
from services.monitor.tasks.values import pid_in
from services.monitor.workers.answers import Outcome
from services.monitor.workers.consuming import Consumer, bring_back, cancel, consumers_in, reply_of
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.store_pauses import FORGOTTEN_AFTER, Pause, PauseStore
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)


class Pauses:
    """`queues_told` is set when workers have told which queues they consume.

    `ask_again` has them asked soon, as it is after they were told something.
    """

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        sessions: Sessions,
        queues_told: asyncio.Event,
        ask_again: Callable[[], None],
        pace: Pace = USUAL,
    ) -> None:
        self._control = control
        self._workers = workers
        self._sessions = sessions
        self._ask_again = ask_again
        self._known: Mapping[str, Pause] = {}
        # One after another, so that no worker gets the commands of a pause and of its end in a wrong order.
        self._turn = asyncio.Lock()
        self.loop = Loop(
            "paused_queues",
            self._tell,
            every=pace.roll_call,
            outlives=(Unavailable, *DATABASE_ERRORS),
            woken=queues_told,
            failed="paused_queues.not_told",
        )

    async def all(self) -> Mapping[str, Pause]:
        """Returns the pauses by queue; the last known while the database is away."""
        try:
            async with self._sessions.reading() as session:
                self._known = await PauseStore(session).all()
        except DATABASE_ERRORS:
            log.warning("paused_queues.as_last_known", count=len(self._known))
        return self._known

    async def pause(self, pause: Pause) -> tuple[Pause, Sequence[Reply]]:
        """Returns the pause that holds now, and a reply of each worker that consumed the queue.

        Raises `Unavailable` if the broker has gone; the pause holds then, too.
        """
        async with self._turn:
            async with self._sessions.transaction() as session:
                held = await PauseStore(session).pause(pause)
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
        async with self._turn:
            async with self._sessions.transaction() as session:
                store = PauseStore(session)
                ended = await store.resume(queue)
                stopped = [each for each in await store.stopped() if each.queue == queue]
            if not ended and not stopped:
                raise _not_paused(queue)
            return await self._go_on(queue, stopped)

    async def would_resume(self, queue: str) -> Sequence[WorkerName]:
        """Returns the workers that would be told to go on. Raises `FailedPrecondition`."""
        async with self._sessions.reading() as session:
            store = PauseStore(session)
            paused = queue in await store.all()
            stopped = [each for each in await store.stopped() if each.queue == queue]
        if not paused and not stopped:
            raise _not_paused(queue)
        return [each.worker for each in self._there(stopped)]

    async def _tell(self) -> None:
        async with self._sessions.transaction() as session:
            store = PauseStore(session)
            await store.forget(dt.datetime.now(dt.UTC) - FORGOTTEN_AFTER)
            paused, stopped = await store.all(), await store.stopped()
        consumed, _ = self._workers.consumers()
        for queue in paused:
            if queue in consumed:
                await self._in_turn(queue, paused=True)
        for queue in {each.queue for each in self._there(stopped)} - set(paused):
            await self._in_turn(queue, paused=False)

    async def _in_turn(self, queue: str, *, paused: bool) -> None:
        """Tells workers, unless the queue was paused or resumed since that was seen to be needed."""
        async with self._turn:
            async with self._sessions.transaction() as session:
                store = PauseStore(session)
                now, stopped = queue in await store.all(), await store.stopped()
            if now is not paused:
                return
            if paused:
                replies = await self._stop(queue)
            else:
                replies = await self._go_on(queue, [each for each in stopped if each.queue == queue])
            done = [str(reply.worker) for reply in replies if reply.outcome is Outcome.DONE]
            if done:
                log.info("paused_queues.told", queue=queue, paused=paused, workers=done)

    async def _stop(self, queue: str) -> Sequence[Reply]:
        consumers, silent = await self._consumers(queue)
        if consumers:
            # Before they are told, so that none is left stopped if this process dies now.
            async with self._sessions.transaction() as session:
                await PauseStore(session).stop(consumers, dt.datetime.now(dt.UTC))
        replies = await cancel(self._control, consumers)
        self._ask_again()
        return _by_name([*replies.values(), *(reply_of(name, None) for name in silent)])

    async def _go_on(self, queue: str, stopped: Sequence[Consumer]) -> Sequence[Reply]:
        replies = (await bring_back(self._control, self._there(stopped))).values()
        done = [reply.worker for reply in replies if reply.outcome is Outcome.DONE]
        if done:
            async with self._sessions.transaction() as session:
                await PauseStore(session).goes_on(queue, done)
        self._ask_again()
        return _by_name(replies)

    def _there(self, stopped: Iterable[Consumer]) -> Sequence[Consumer]:
        there = set(self._workers.there())
        return [each for each in stopped if each.worker in there or not self._control.settled()]

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
    return FailedPrecondition("QUEUE_NOT_PAUSED", f"the queue {queue!r} is not paused")
