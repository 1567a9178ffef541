"""The SQL of paused queues, and of the workers that were told to consume them no more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.monitor.tables import paused_consumers, paused_queues
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.consuming import Consumer

# Workers that nobody has heard of since are forgotten so long after they were told to stop.
FORGOTTEN_AFTER = dt.timedelta(days=7)


@dataclass(frozen=True)
class Pause:
    """A paused queue: since when, who paused it, and why."""

    queue: str
    at: dt.datetime
    subject: str
    reason: str


class PauseStore:
    """Reads and writes in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def pause(self, pause: Pause) -> Pause:
        """Keeps the pause; returns the one that holds, which is an older one if there was one."""
        c = paused_queues.c
        new = insert(paused_queues).values(
            queue=pause.queue, paused_at=pause.at, subject=pause.subject, reason=pause.reason
        )
        await self._session.execute(new.on_conflict_do_nothing(index_elements=[c.queue]))
        return (await self.all())[pause.queue]

    async def resume(self, queue: str) -> bool:
        """Ends the pause; returns whether there was one."""
        ended = delete(paused_queues).where(paused_queues.c.queue == queue).returning(paused_queues.c.queue)
        return (await self._session.execute(ended)).first() is not None

    async def all(self) -> Mapping[str, Pause]:
        """Returns the pauses by queue."""
        rows = (await self._session.execute(select(paused_queues))).all()
        return {row.queue: Pause(row.queue, row.paused_at, row.subject, row.reason) for row in rows}

    async def stopped(self) -> Sequence[Consumer]:
        """Returns the workers that were told to stop and have not been told to go on, by queue and name."""
        c = paused_consumers.c
        rows = await self._session.execute(select(paused_consumers).order_by(c.queue, c.hostname, c.pid))
        return [
            Consumer(
                WorkerName(row.hostname, row.pid),
                row.queue,
                row.exchange,
                row.exchange_type,
                row.routing_key,
            )
            for row in rows
        ]

    async def stop(self, consumers: Iterable[Consumer], now: dt.datetime) -> None:
        """Keeps that these workers are told to stop."""
        c = paused_consumers.c
        for each in consumers:
            new = insert(paused_consumers).values(
                queue=each.queue,
                hostname=each.worker.hostname,
                pid=each.worker.pid,
                exchange=each.exchange,
                exchange_type=each.exchange_type,
                routing_key=each.routing_key,
                stopped_at=now,
            )
            again = new.on_conflict_do_update(
                index_elements=[c.queue, c.hostname, c.pid], set_={"stopped_at": now}
            )
            await self._session.execute(again)

    async def goes_on(self, queue: str, workers: Iterable[WorkerName]) -> None:
        """Forgets that these workers were told to stop, and those not heard of for very long."""
        c = paused_consumers.c
        for worker in workers:
            await self._session.execute(
                delete(paused_consumers).where(
                    c.queue == queue, c.hostname == worker.hostname, c.pid == worker.pid
                )
            )

    async def forget(self, before: dt.datetime) -> None:
        """Forgets workers that were told to stop before that moment, of queues that are not paused."""
        c = paused_consumers.c
        paused = select(paused_queues.c.queue)
        old = delete(paused_consumers).where(c.stopped_at < before, c.queue.not_in(paused))
        await self._session.execute(old)
