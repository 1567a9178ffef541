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
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import asyncpg
import redis.exceptions
import sqlalchemy.exc
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from services.kernel.database import Database
from services.scheduler.decide import Decision, decide, decide_unreadable, held_back, unreadable
from services.scheduler.messages import Letterhead
from services.scheduler.plan import NO_TIME
from services.scheduler.publisher import PermitEnded, Publisher
from services.scheduler.schedules import RunState, Task, task_id
from services.scheduler.store_due import UNREADABLE, Due, DueStore

log = structlog.get_logger(__name__)

BATCH = 1000
# Batches that are claimed and decided side by side while there is a backlog.
LANES = 2
# Batches that may be on their way to the broker while the next is being claimed.
IN_FLIGHT = 2
# Several due times of one moment are one batch: waiting this long costs less than as many transactions.
COALESCE_SECONDS = 0.005
# Sleep ends at the next due time or with a notice; this only guards against what nobody thought of.
SAFETY_SECONDS = 5.0
# A broker that is away is asked again after this; meanwhile due times are only recorded.
AWAY_SECONDS = 1.0
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


class PendingRun(NamedTuple):
    """A run that is committed, and not known to be published. `read_at`: the database's clock."""

    schedule_id: str
    letterhead: Letterhead
    due: dt.datetime
    read_at: dt.datetime
    # What jitter added to the due time; no lateness.
    jitter: dt.timedelta = NO_TIME
    # Its time to expire counts from the sending, and it is not late.
    backfilled: bool = False


class Dispatcher:
    """Dispatches for as long as it runs."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        registry: CollectorRegistry,
        on_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_waiting` is called when a run was recorded that waits until no other is going."""
        self._database = database
        self._publisher = publisher
        self._on_waiting = on_waiting
        self._metrics = DispatchMetrics(registry)
        self._away_since = float("-inf")
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
                    if claimed == BATCH:
                        await self._dispatch_backlog()
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

    async def _dispatch_backlog(self) -> None:
        """Several lanes, so that the database works on one batch while this process decides on another."""

        async def lane() -> None:
            while await self.dispatch_batch() == BATCH:
                pass

        ended = await asyncio.gather(*(lane() for _ in range(LANES)), return_exceptions=True)
        for error in filter(None, ended):
            raise error

    async def dispatch_batch(self) -> int:
        """Claims and records one batch, and starts publishing it; how many schedules were due."""
        permit = await self.permit()
        async with self._database.driver_connection() as connection:
            store = DueStore(connection)
            async with store.transaction():
                claimed = await store.claim(BATCH)
                if not claimed:
                    return 0
                now = await store.now()
                decisions, letterheads, jitters = [], {}, {}
                for due in claimed:
                    decision, letterheads[due.id] = _decide(due, now)
                    decisions.append(decision)
                    if due.sent != due.due:
                        jitters[due.id] = due.sent - due.due
                recorded = await store.record(claimed, decisions)
        pending = []
        for run in recorded:
            letterhead = letterheads[run.schedule_id]
            if letterhead is not None and run.state is RunState.PENDING:
                jitter = jitters.get(run.schedule_id, NO_TIME)
                pending.append(PendingRun(run.schedule_id, letterhead, run.due_at, now, jitter))
            elif run.state is RunState.WAITING:
                self._on_waiting()
            else:
                log.warning("schedule.missed", schedule=run.schedule_id, due=run.due_at, reason=run.reason)
                self._metrics.runs.labels(run.state.value).inc()
        await self._send_on_its_way(pending, permit)
        return len(claimed)

    async def permit(self) -> int | None:
        """The broker's permit to publish what is read from now on; None while it is away."""
        if time.monotonic() - self._away_since < AWAY_SECONDS:
            return None
        try:
            return await self._publisher.permit()
        except (redis.exceptions.RedisError, OSError) as error:
            self._away_since = time.monotonic()
            log.warning("dispatch.broker_away", error=repr(error)[:300])
            return None

    async def _send_on_its_way(self, runs: Sequence[PendingRun], permit: int | None) -> None:
        while len(self._on_the_way) >= IN_FLIGHT:
            await asyncio.wait(self._on_the_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish_or_leave(runs, permit))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def _publish_or_leave(self, runs: Sequence[PendingRun], permit: int | None) -> None:
        try:
            await self.publish(runs, permit)
        except (*FAULTS, PermitEnded) as error:
            # The runs stay committed and pending: healing publishes them when the broker is back.
            log.warning("dispatch.publish_failed", runs=len(runs), error=repr(error)[:300])

    async def publish(self, runs: Sequence[PendingRun], permit: int | None) -> None:
        """Publishes runs that are committed, and records that they are; each at most once, ever.

        With a permit that was taken before they were read; without one they stay pending, and are healed.
        """
        if not runs or permit is None:
            return
        read_at = runs[0].read_at
        messages = [
            run.letterhead.message(
                task_id(run.schedule_id, run.due), read_at if run.backfilled else run.due, read_at
            )
            for run in runs
        ]
        pushed = await self._publisher.publish(messages, permit)
        async with self._database.driver_connection() as connection:
            store = DueStore(connection)
            await store.mark_published([run.schedule_id for run in runs], [run.due for run in runs])
        await self._publisher.shorten_markers([message.task_id for message in messages])
        done = dt.datetime.now(dt.UTC)
        self._metrics.runs.labels("published").inc(pushed)
        for run in runs:
            if run.backfilled:
                continue
            self._metrics.lateness.observe(max(0.0, (done - run.due - run.jitter).total_seconds()))
        log.info("schedule.dispatched", runs=len(runs), pushed=pushed, first=runs[0].schedule_id)

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
        permit = await self._publisher.permit()
        async with self._database.driver_connection() as connection:
            store = DueStore(connection)
            now = await store.now()
            unpublished = await store.unpublished(older_than, BATCH)
            pending = []
            for run in unpublished:
                letterhead, fault = _letterhead(run.task, run.fault)
                if letterhead is None:
                    log.warning("schedule.unreadable", schedule=run.schedule_id, due=run.due, fault=fault)
                    await store.give_up(run.schedule_id, run.due, unreadable(fault))
                else:
                    pending.append(
                        PendingRun(run.schedule_id, letterhead, run.due, now, backfilled=run.backfilled)
                    )
        if pending:
            log.info("dispatch.healing", runs=len(pending))
            await self.publish(pending, permit)
        return len(unpublished)

    async def drain(self) -> None:
        """Waits for what is on its way to the broker."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._on_the_way, return_exceptions=True)


def _decide(due: Due, now: dt.datetime) -> tuple[Decision, Letterhead | None]:
    task, plan = due.what or (None, None)
    letterhead, fault = _letterhead(task, due.fault)
    if letterhead is None or plan is None:
        return decide_unreadable(due.id, due.due, now, fault), None
    try:
        decision = decide(due.id, plan, due.due, now, due.left)
        return decision if due.overlaps else held_back(decision), letterhead
    except UNREADABLE as error:
        return decide_unreadable(due.id, due.due, now, repr(error)), None


def _letterhead(task: Task | None, fault: str) -> tuple[Letterhead | None, str]:
    """The letterhead, or None with what is wrong with the stored task."""
    if task is None:
        return None, fault
    try:
        return Letterhead(task), ""
    except UNREADABLE as error:
        return None, repr(error)
