"""The dispatcher claims due schedules and records their runs. Every replica runs one; all are active.

1. One transaction claims due schedules (SKIP LOCKED), records a run for each due time, and sets each schedule
   to its next due time. Nothing is kept in memory that a crash could lose. When our own code fails on a
   schedule, the transaction is rolled back and repeated without it (left_out.py).
2. After the commit, the recorded runs are published as a batch (delivery.py).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.loops import Backoff, Heartbeat
from services.scheduler.dispatch.batches import Batch, PendingRun, written
from services.scheduler.dispatch.decide import Decision, decide, decide_unreadable, held_back
from services.scheduler.dispatch.delivery import FAULTS, Delivery
from services.scheduler.dispatch.fast_path import InTime
from services.scheduler.dispatch.left_out import LeftOut, OwnFault, tried
from services.scheduler.dispatch.store_due import Due, DueStore, RecordedAlready, due_of
from services.scheduler.pace import USUAL, Pace
from services.scheduler.schedule.definition import Run, RunState

log = structlog.get_logger(__name__)

BATCH = 500
# How many batches are claimed and decided at the same time while there is a backlog.
LANES = 2
# Added to the sleep before the next due time, so that due times close together are claimed in one
# transaction instead of several.
COALESCE_SECONDS = 0.005
# The wait after a failed round, for example while the database is away.
RETRY = Backoff(first=0.1, most=5.0)


class Dispatcher:
    """The background loop that dispatches.

    It is not a `Loop`, because it waits for database notices directly. With an event that another task sets,
    each notice would take one more turn of the event loop.
    """

    def __init__(
        self,
        database: Database,
        delivery: Delivery,
        on_waiting: Callable[[], None] = lambda: None,
        pace: Pace = USUAL,
    ) -> None:
        """`on_waiting` is called for each recorded run that waits for an earlier run to end."""
        self._database = database
        self.delivery = delivery
        self._on_waiting = on_waiting
        self._pace = pace
        self._left_out = LeftOut(delivery.metrics, pace.left_out)
        self._heartbeat = Heartbeat("dispatch")

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [self._heartbeat]

    def leaves_out(self, schedule_id: str) -> bool:
        """Returns whether the schedule is left out for now, as our own code fails on it."""
        return schedule_id in self._left_out.schedule_ids

    async def run(self) -> None:
        async with self._database.listening("celery_schedules") as notices:
            await self._dispatch_for_ever(notices)

    async def _dispatch_for_ever(self, notices: AsyncIterator[str]) -> None:
        notice = asyncio.ensure_future(anext(notices))
        # Whether something may be due: not when the safeguard alone ended the sleep, which happens in an idle
        # process. Then one statement tells when the next due time is, and nothing is claimed.
        may_be_due = True
        try:
            while True:
                wait = seconds = 0.0
                try:
                    claimed = await self.dispatch_batch() if may_be_due else 0
                    if claimed == BATCH:
                        await self._dispatch_backlog()
                    seconds = 0.0 if claimed else await self._seconds_to_next()
                    wait = min(seconds, self._pace.dispatch_look)
                    self._heartbeat.succeeded(rests=wait)
                except (*FAULTS, OwnFault) as error:
                    self._heartbeat.failed()
                    wait = RETRY.after(self._heartbeat.failures_in_a_row)
                    log.warning("dispatch.failed", error=for_log(error), retry_seconds=wait)
                if wait:
                    await asyncio.wait({notice}, timeout=wait)
                may_be_due = notice.done() or seconds <= wait or bool(self._left_out.schedule_ids)
                if notice.done():
                    # Raises what ended the listening, which is a fault of ours.
                    notice.result()
                    notice = asyncio.ensure_future(anext(notices))
        finally:
            notice.cancel()
            await self.delivery.drain()

    async def _dispatch_backlog(self) -> None:
        """Dispatches full batches in several lanes: the database works on one while this process decides."""

        async def lane() -> None:
            while await self.dispatch_batch() == BATCH:
                pass

        ended = await asyncio.gather(*(lane() for _ in range(LANES)), return_exceptions=True)
        # A fault of ours first: what passes by itself must not hide it.
        for error in sorted(filter(None, ended), key=lambda error: isinstance(error, FAULTS)):
            raise error

    async def dispatch_batch(self) -> int:
        """Claims and records one batch, and starts to publish it. Returns how many schedules were claimed.

        Raises `OwnFault` when our own code fails and leaving out single schedules does not help.
        """
        await self._left_out.try_again(self._attempt)
        done = await tried(self._dispatch(None), FAULTS)
        if isinstance(done, int):
            return done
        log.error("dispatch.own_fault", error=for_log(done), exc_info=done)
        async with self._database.connection() as connection:
            ids = await DueStore(connection).due_ids(BATCH, self._left_out.schedule_ids)
        if not ids or self._left_out.full:
            raise OwnFault from done
        await self._left_out.apart(ids, self._attempt)
        return len(ids)

    async def _attempt(self, ids: Sequence[str]) -> Exception | None:
        done = await tried(self._dispatch(ids), FAULTS)
        return done if isinstance(done, Exception) else None

    async def _dispatch(self, ids: Sequence[str] | None) -> int:
        """Dispatches one batch: of these schedules, or of all that are due if `ids` is None.

        Returns how many were claimed. If it raises, nothing is recorded. FAULTS are errors of the database
        and of the broker; any other is a fault of our own code.
        """
        with self.delivery.turns.dispatching():
            slot = await self.delivery.slot()
            claimed, batch = await self._record_batch(ids)
            if batch is not None:
                # Only the finished batch is kept in memory from here on; the claimed rows are released.
                await self.delivery.send_on_its_way(batch, slot)
            self._heartbeat.succeeded()
            return claimed

    async def _record_batch(self, ids: Sequence[str] | None) -> tuple[int, Batch | None]:
        """Returns how many schedules were claimed, and the batch to publish (None if nothing was due)."""
        try:
            return await self._record(ids)
        except RecordedAlready:
            # The clock was set back, or a person has set `next_run_at` to a due time that already has a run.
            return await self._record(ids, each_by_itself=True)

    async def _record(
        self, ids: Sequence[str] | None, *, each_by_itself: bool = False
    ) -> tuple[int, Batch | None]:
        async with self._database.connection() as connection:
            store = DueStore(connection)
            async with store.transaction():
                rows = await store.claim(BATCH, ids, self._left_out.schedule_ids)
                if not rows:
                    return 0, None
                claimed, key = len(rows), await store.new_batch()
                in_time = InTime(key.recorded_at)
                others = [due_of(row) for row in rows if each_by_itself or not in_time.take(row)]
                # Releases the rows, of about thirty values each, before the next statements are awaited.
                del rows
                if in_time.runs:
                    await store.record_in_time(key.id, in_time.schedule_ids, in_time.following)
                decisions = [_decide(due, key.recorded_at) for due in others]
                runs = await store.record(key.id, others, decisions)
                # Messages are made within the transaction: if that fails, the run must not be recorded.
                pending = _written(runs, others, key.recorded_at)
        self._tell_unsent(runs)
        return claimed, Batch(key, in_time.runs + pending)

    def _tell_unsent(self, runs: Sequence[Run]) -> None:
        """Skipped runs are logged and counted; waiting runs wake the waiter."""
        for run in runs:
            if run.state is RunState.WAITING:
                self._on_waiting()
            elif run.state is not RunState.PENDING:
                log.warning("schedule.missed", schedule=run.schedule_id, due=run.due_at, reason=run.reason)
                self.delivery.metrics.runs.labels(run.state.value).inc()

    async def _seconds_to_next(self) -> float:
        """Returns the seconds until something is due; infinity if nothing ever is."""
        async with self._database.connection() as connection:
            seconds = await DueStore(connection).seconds_to_next(self._left_out.schedule_ids)
        return math.inf if seconds is None else max(seconds, 0.0) + COALESCE_SECONDS


def _decide(due: Due, now: dt.datetime) -> Decision:
    if due.what is None:
        return decide_unreadable(due.id, due.due, now, due.fault)
    _, plan = due.what
    decision = decide(due.id, plan, due.due, now, due.left)
    return decision if due.overlaps else held_back(decision)


def _written(runs: Sequence[Run], claimed: Sequence[Due], now: dt.datetime) -> list[PendingRun]:
    """Returns the runs to publish, with their messages."""
    found = {due.id: due for due in claimed}
    pending = []
    for run in runs:
        due = found[run.schedule_id]
        if run.state is RunState.PENDING and due.what is not None:
            template, _ = due.what
            jitter, namespace = due.sent - due.due, run.task_namespace
            pending.append(written(due.id, template, run.due_at, now, jitter, namespace=namespace))
    return pending
