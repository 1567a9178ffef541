"""Publishes recorded batches: each exactly once, whatever fails in between.

1. After the commit, the messages of a batch are published in one atomic step (publisher.py).
2. The batch is then recorded as published.
3. After a crash before step 2, any replica that finds the batch unpublished publishes it (healing).

When our own code can't make the message of a run while it heals, the batch is published without that run,
which gets a batch of its own. A batch in which there is nothing else is left out for a time (left_out.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import itertools
import logging as stdlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import redis.exceptions
import structlog
from prometheus_client import CollectorRegistry

from services.kernel.celery_publisher import MarkedBatch, Publisher, Receipt, SlotEnded
from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.scheduler.dispatch.batches import Batch, BatchKey, PendingRun, written
from services.scheduler.dispatch.decide import unreadable
from services.scheduler.dispatch.left_out import LeftOut, OwnFault, made, tried
from services.scheduler.dispatch.metrics import DispatchMetrics
from services.scheduler.dispatch.store_batches import BatchStore, Unpublished, unpublished_of
from services.scheduler.dispatch.turns import Turns
from services.scheduler.pace import USUAL, Pace
from services.scheduler.schedule.definition import task_id
from services.scheduler.schedule.names import run_name
from services.scheduler.schedule.rows import Row

log = structlog.get_logger(__name__)

# The most batches that are being published while the next one is claimed.
IN_FLIGHT = 2
HEAL_AFTER = dt.timedelta(seconds=3)
# Healing reads at most HEAL_BATCHES unpublished batches at a time, and publishes them in groups of about
# HEAL_RUNS runs; a larger batch is in a group of its own.
HEAL_BATCHES = 200
HEAL_RUNS = 1000
# How the reason of a run begins that the broker can't take.
REFUSED = "not sent: "
FAULTS = (*DATABASE_ERRORS, redis.exceptions.RedisError)


class _Failed(NamedTuple):
    """A run whose message our own code can't make: its task id, its schedule and due time, and why."""

    task: str
    key: tuple[str, dt.datetime]
    error: Exception


class Delivery:
    """Publishes batches. `healing` is the background loop that publishes those that were left unpublished."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        registry: CollectorRegistry,
        turns: Turns | None = None,
        pace: Pace = USUAL,
        holds: Callable[[], bool] = lambda: False,
    ) -> None:
        """`turns`: where it marks the time in which it publishes, so that calls give way.

        While `holds` says so, nothing is published, as while the broker is away.
        """
        self._holds = holds
        self._database = database
        self._pace = pace
        self.turns = turns or Turns()
        self._publisher = publisher
        self.metrics = DispatchMetrics(registry)
        self._away_since = float("-inf")
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._left_out = LeftOut(self.metrics, pace.left_out, "batch")
        self.healing = Loop(
            "healing",
            self._heal_all,
            every=pace.heal,
            outlives=(*FAULTS, SlotEnded, OwnFault),
            failed="dispatch.healing_failed",
            at_once=False,
        )

    async def slot(self) -> int | None:
        """Returns a publish slot for batches that are read from now on.

        None while the broker is away, and while sending is held.
        """
        if self._holds():
            return None
        if time.monotonic() - self._away_since < self._pace.broker_retry:
            return None
        try:
            return await self._publisher.slot()
        except (redis.exceptions.RedisError, ConnectionError, TimeoutError) as error:
            self._away_since = time.monotonic()
            log.warning("dispatch.broker_away", error=for_log(error))
            return None

    async def send_on_its_way(self, batch: Batch, slot: int | None) -> None:
        """Waits until fewer than IN_FLIGHT batches are being published, then starts to publish this one."""
        while len(self._on_the_way) >= IN_FLIGHT:
            await asyncio.wait(self._on_the_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish_or_leave(batch, slot))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def drain(self) -> None:
        """Waits for the batches that are being published."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._on_the_way, return_exceptions=True)

    async def _publish_or_leave(self, batch: Batch, slot: int | None) -> None:
        # If it fails, the batch stays recorded and unpublished, and healing publishes it: when the broker is
        # back, or without the run on which our own code fails.
        try:
            with self.turns.dispatching():
                failed = await tried(self.publish([batch], slot), (*FAULTS, SlotEnded))
        except (*FAULTS, SlotEnded) as error:
            log.warning("dispatch.publish_failed", runs=len(batch.runs), error=for_log(error))
        else:
            if failed is not None:
                self.metrics.own_faults.inc()
                log.error("dispatch.own_fault", error=for_log(failed), exc_info=failed)

    async def publish(self, batches: Sequence[Batch], slot: int | None) -> None:
        """Publishes committed batches, each at most once, and records that they are published.

        `slot` must have been taken before the batches were read. Without a slot nothing is published;
        healing does it later. Raises `SlotEnded` when the slot is over.
        """
        if slot is None:
            return
        receipts = [(batch, await self._push(batch, slot)) for batch in batches]
        left_out = any(receipt.left_out for _, receipt in receipts)
        async with self._database.connection() as connection:
            store = BatchStore(connection)
            for batch, receipt in receipts:
                for key, task_ids in receipt.refused:
                    reason = f"{REFUSED}the broker's key {key!r} is no list, so it can't be a queue"
                    await store.give_up(batch.key.id, _of(batch, task_ids), reason)
            async with store.transaction() if left_out else contextlib.nullcontext():
                for batch, receipt in receipts:
                    for runs in _by_schedule(_of(batch, receipt.left_out)):
                        await store.set_apart(batch.key.id, runs)
                await store.published([batch.key.id for batch in batches])
        await self._publisher.shorten_marks([batch.key.mark for batch in batches])
        self._count(receipts)

    def _count(self, receipts: Sequence[tuple[Batch, Receipt]]) -> None:
        """Counts and logs what was published."""
        done, sent = dt.datetime.now(dt.UTC), 0
        for batch, receipt in receipts:
            refused = {task_id for _, task_ids in receipt.refused for task_id in task_ids}
            gone = refused.union(receipt.left_out)
            runs = [run for run in batch.runs if run.message.task_id not in gone] if gone else batch.runs
            self.metrics.published(runs, done)
            if refused:
                self.metrics.runs.labels("skipped").inc(len(refused & batch.keys.keys()))
            sent += len(runs)
            if stdlib.getLogger(__name__).isEnabledFor(stdlib.DEBUG):
                _tell_each(runs)
        log.info("dispatch.published", batches=len(receipts), runs=sent)

    async def _push(self, batch: Batch, slot: int) -> Receipt:
        """Publishes one batch. The receipt tells which of its runs were not sent."""
        if not batch.runs and not batch.left_out:
            return Receipt(before=False)
        marked = MarkedBatch(batch.key.mark, [run.message for run in batch.runs], list(batch.left_out))
        return await self._publisher.publish(marked, slot)

    async def _heal_all(self) -> None:
        while await self.heal():
            pass

    async def heal(self, older_than: dt.timedelta = HEAL_AFTER) -> int:
        """Publishes batches that are still unpublished: their process died, or the broker was away.

        Returns how many it published. Raises `OwnFault` when our own code fails, and not on single schedules.
        """
        if self._holds():
            return 0
        slot = await self._publisher.slot()
        again = set(self._left_out.to_try())
        but_not = [int(each) for each in self._left_out.schedule_ids if each not in again]
        async with self._database.connection() as connection:
            unpublished = await BatchStore(connection).unpublished(older_than, HEAL_BATCHES, but_not)
        keys = {str(key.id): key for key, _ in unpublished}
        healed: set[str] = set()

        async def attempt(ids: Sequence[str]) -> Exception | None:
            work = self._heal_some([keys[each] for each in ids], slot)
            if (failed := await tried(work, (*FAULTS, SlotEnded))) is None:
                healed.update(ids)
            return failed

        for group in _together(unpublished):
            await self._left_out.apart([str(key.id) for key in group], attempt)
        for each in healed | (again - keys.keys()):
            self._left_out.remove(each)
        if healed:
            runs = sum(size for key, size in unpublished if str(key.id) in healed)
            log.info("dispatch.healed", batches=len(healed), runs=runs)
        self._left_out.check()
        return len(healed)

    async def _heal_some(self, keys: Sequence[BatchKey], slot: int) -> None:
        await self.publish(await self._read(keys), slot)

    async def _read(self, keys: Sequence[BatchKey]) -> list[Batch]:
        """Returns the batches with their runs; messages are made from the schedules as they are now.

        Runs whose schedule can't be read are given up. A run on which our own code fails is left out of its
        batch; if the batch has runs of no other schedule, the exception is raised.
        """
        runs: dict[int, list[PendingRun]] = {key.id: [] for key in keys}
        failed: dict[int, list[_Failed]] = {key.id: [] for key in keys}
        async with self._database.connection() as connection:
            store = BatchStore(connection)
            now = await store.now()
            for row in await store.runs(list(runs)):
                run = made(functools.partial(_made, row, now))
                if isinstance(run, PendingRun):
                    runs[row["batch_id"]].append(run)
                elif isinstance(run, Unpublished):
                    log.warning("schedule.unreadable", schedule=run.schedule_id, due=run.due, fault=run.fault)
                    await store.give_up(run.batch_id, [(run.schedule_id, run.due)], unreadable(run.fault))
                else:
                    task = task_id(row["id"], row["due_at"], row["task_namespace"])
                    failed[row["batch_id"]].append(_Failed(task, (row["id"], row["due_at"]), run))
        for key in keys:
            self._tell_failed(runs[key.id], failed[key.id])
        return [Batch(key, runs[key.id], {each.task: each.key for each in failed[key.id]}) for key in keys]

    def _tell_failed(self, runs: Sequence[PendingRun], failed: Sequence[_Failed]) -> None:
        if failed and not runs and len({each.key[0] for each in failed}) == 1:
            raise failed[0].error
        for _, (schedule_id, due), error in failed:
            self.metrics.own_faults.inc()
            log.error("run.left_out", schedule=schedule_id, due=due, error=for_log(error), exc_info=error)


def _made(row: Row, now: dt.datetime) -> PendingRun | Unpublished:
    """Returns the run with its message; without one if its schedule can't be read."""
    run = unpublished_of(row)
    if run.template is None:
        return run
    return written(
        run.schedule_id,
        run.template,
        run.due,
        now,
        namespace=run.task_namespace,
        backfilled=run.backfilled,
        call_id=run.call_id,
    )


def _tell_each(runs: Sequence[PendingRun]) -> None:
    for run in runs:
        name = run_name(run.schedule_id, run.due)
        log.debug("run.published", schedule=run.schedule_id, run=name, task_id=run.message.task_id)


def _of(batch: Batch, task_ids: Collection[str]) -> list[tuple[str, dt.datetime]]:
    """Returns the runs of these tasks. One may be missing, as its schedule may have been deleted since."""
    keys = batch.keys if task_ids else {}
    return [keys[each] for each in task_ids if each in keys]


def _by_schedule(runs: Sequence[tuple[str, dt.datetime]]) -> Iterable[list[tuple[str, dt.datetime]]]:
    found: dict[str, list[tuple[str, dt.datetime]]] = {}
    for schedule_id, due in runs:
        found.setdefault(schedule_id, []).append((schedule_id, due))
    return found.values()


def _together(batches: Iterable[tuple[BatchKey, int]]) -> Iterator[list[BatchKey]]:
    """Groups small batches, so that each step reads and publishes a limited number of runs."""
    total = 0

    def group(each: tuple[BatchKey, int]) -> int:
        nonlocal total
        total += each[1]
        return (total - 1) // HEAL_RUNS

    for _, members in itertools.groupby(batches, group):
        yield [key for key, _ in members]
