"""The dispatcher: takes what is due, records it, publishes it. Every replica runs one; all are active.

1. One transaction claims due schedules (SKIP LOCKED), records a run for each due time, and moves each
   schedule on to its next. Nothing is in memory that a crash could lose.
2. After the commit, each run's marker and message go to the broker in one atomic step.
3. Then the run is recorded as published. A crash before that is healed by whoever finds the run pending.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Sequence

import asyncpg
import redis.exceptions
import sqlalchemy.exc
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from services.kernel.database import Database
from services.scheduler.messages import Letterhead
from services.scheduler.publisher import PermitEnded, Publisher
from services.scheduler.schedules import RunState, decide, task_id
from services.scheduler.store_due import Due, DueStore, PendingRun

log = structlog.get_logger(__name__)

BATCH = 2000
# Batches that may be on their way to the broker while the next is being claimed.
IN_FLIGHT = 2
# Several due times of one moment are one batch: waiting this long costs less than as many transactions.
COALESCE_SECONDS = 0.005
# Sleep ends at the next due time or with a notice; this only guards against what nobody thought of.
SAFETY_SECONDS = 5.0
HEAL_AFTER = dt.timedelta(seconds=3)
HEAL_SECONDS = 3.0
FAULTS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    sqlalchemy.exc.SQLAlchemyError,
    redis.exceptions.RedisError,
    OSError,
)


class DispatchMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter("celeriac_scheduler_runs", "Due times decided", ["state"], registry=registry)
        self.lateness = Histogram(
            "celeriac_scheduler_lateness_seconds",
            "From a due time to its message on the queue",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
        )


class Dispatcher:
    """Dispatches for as long as it runs."""

    def __init__(self, database: Database, publisher: Publisher, registry: CollectorRegistry) -> None:
        self._database = database
        self._publisher = publisher
        self._metrics = DispatchMetrics(registry)
        self._letterheads: dict[str, tuple[int, Letterhead]] = {}
        self._on_the_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        async with self._database.listening("celery_schedules") as notices, asyncio.TaskGroup() as group:
            group.create_task(self._heal_for_ever())
            await self._dispatch_for_ever(notices)

    async def _dispatch_for_ever(self, notices: AsyncIterator[str]) -> None:
        backoff = 0.1
        notice = asyncio.ensure_future(anext(notices))
        try:
            while True:
                try:
                    claimed = await self.dispatch_batch()
                    wait = 0.0 if claimed else await self._seconds_to_sleep()
                    backoff = 0.1
                except FAULTS as error:
                    log.warning("dispatch.failed", error=str(error)[:300], retry_seconds=backoff)
                    wait, backoff = backoff, min(backoff * 2, 5.0)
                if wait:
                    await asyncio.wait({notice}, timeout=wait)
                if notice.done():
                    notice = asyncio.ensure_future(anext(notices))
        finally:
            notice.cancel()
            await self.drain()

    async def dispatch_batch(self) -> int:
        """Claims and records one batch, and starts publishing it; how many schedules were due."""
        async with self._database.driver_connection() as connection:
            store = DueStore(connection)
            async with store.transaction():
                claimed = await store.claim(BATCH)
                if not claimed:
                    return 0
                decisions = [decide(due.id, due.timing, due.due, due.now) for due in claimed]
                recorded = await store.record(claimed, decisions)
        runs = []
        for due, decision in zip(claimed, decisions, strict=True):
            for run in decision.runs:
                if (run.schedule_id, run.due_at) not in recorded:
                    continue
                if run.state is RunState.PENDING:
                    runs.append(_pending(due, run.due_at))
                else:
                    log.warning("schedule.missed", schedule=due.id, due=run.due_at, reason=run.reason)
                    self._metrics.runs.labels(run.state.value).inc()
        await self._send_on_its_way(runs)
        return len(claimed)

    async def _send_on_its_way(self, runs: Sequence[PendingRun]) -> None:
        while len(self._on_the_way) >= IN_FLIGHT:
            await asyncio.wait(self._on_the_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish_or_leave(runs))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def _publish_or_leave(self, runs: Sequence[PendingRun]) -> None:
        try:
            await self.publish(runs)
        except (*FAULTS, PermitEnded) as error:
            # The runs stay committed and pending: healing publishes them when the broker is back.
            log.warning("dispatch.publish_failed", runs=len(runs), error=repr(error)[:300])

    async def publish(self, runs: Sequence[PendingRun]) -> None:
        """Publishes runs that are committed, and records that they are; each at most once, ever."""
        if not runs:
            return
        now = runs[0].read_at
        messages = [
            self._letterhead(run).message(task_id(run.schedule_id, run.due), run.due, now) for run in runs
        ]
        pushed = await self._publisher.publish(messages, now)
        async with self._database.driver_connection() as connection:
            await DueStore(connection).mark_published(runs)
        await self._publisher.shorten_markers([message.task_id for message in messages])
        done = dt.datetime.now(dt.UTC)
        self._metrics.runs.labels("published").inc(pushed)
        for run in runs:
            self._metrics.lateness.observe(max(0.0, (done - run.due).total_seconds()))
        log.info("schedule.dispatched", runs=len(runs), pushed=pushed, first=runs[0].schedule_id)

    def _letterhead(self, run: PendingRun) -> Letterhead:
        known = self._letterheads.get(run.schedule_id)
        if known is None or known[0] != run.version:
            if len(self._letterheads) >= 20_000:
                self._letterheads.clear()
            known = self._letterheads[run.schedule_id] = (run.version, Letterhead(run.task))
        return known[1]

    async def _seconds_to_sleep(self) -> float:
        async with self._database.driver_connection() as connection:
            seconds = await DueStore(connection).seconds_to_next()
        if seconds is None:
            return SAFETY_SECONDS
        return min(max(seconds, 0.0) + COALESCE_SECONDS, SAFETY_SECONDS)

    async def _heal_for_ever(self) -> None:
        while True:
            await asyncio.sleep(HEAL_SECONDS)
            try:
                while await self.heal_batch():
                    pass
            except (*FAULTS, PermitEnded) as error:
                log.warning("dispatch.healing_failed", error=repr(error)[:300])

    async def heal_batch(self, older_than: dt.timedelta = HEAL_AFTER) -> int:
        """Publishes what was committed and is still pending: its process died, or the broker was away."""
        async with self._database.driver_connection() as connection:
            pending = await DueStore(connection).pending(older_than, BATCH)
        if pending:
            log.info("dispatch.healing", runs=len(pending))
            await self.publish(pending)
        return len(pending)

    async def drain(self) -> None:
        """Waits for what is on its way to the broker."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._on_the_way, return_exceptions=True)


def _pending(due: Due, due_at: dt.datetime) -> PendingRun:
    return PendingRun(due.id, due.version, due.task, due_at, due.now)
