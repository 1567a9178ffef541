"""Publishes recorded batches: each exactly once, whatever fails in between.

1. After the commit, the messages of a batch are published in one atomic step (publisher.py).
2. The batch is then recorded as published.
3. After a crash before step 2, any replica that finds the batch unpublished publishes it (healing).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence

import redis.exceptions
import structlog
from prometheus_client import CollectorRegistry

from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.scheduler.dispatch.batches import Batch, BatchKey, PendingRun, written
from services.scheduler.dispatch.decide import unreadable
from services.scheduler.dispatch.metrics import DispatchMetrics
from services.scheduler.dispatch.publisher import MarkedBatch, Publisher, SlotEnded
from services.scheduler.dispatch.store_batches import BatchStore
from services.scheduler.dispatch.turns import Turns
from services.scheduler.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# The most batches that are being published while the next one is claimed.
IN_FLIGHT = 2
HEAL_AFTER = dt.timedelta(seconds=3)
# Healing reads at most HEAL_BATCHES unpublished batches at a time, and publishes them in groups of about
# HEAL_RUNS runs; a larger batch is in a group of its own.
HEAL_BATCHES = 200
HEAL_RUNS = 1000
FAULTS = (*DATABASE_ERRORS, redis.exceptions.RedisError)


class Delivery:
    """Publishes batches. `healing` is the background loop that publishes those that were left unpublished."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        registry: CollectorRegistry,
        turns: Turns | None = None,
        pace: Pace = USUAL,
    ) -> None:
        """`turns`: where it marks the time in which it publishes, so that calls give way."""
        self._database = database
        self._pace = pace
        self.turns = turns or Turns()
        self._publisher = publisher
        self.metrics = DispatchMetrics(registry)
        self._away_since = float("-inf")
        self._on_the_way: set[asyncio.Task[None]] = set()
        self.healing = Loop(
            "healing",
            self._heal_all,
            every=pace.heal,
            outlives=(*FAULTS, SlotEnded),
            failed="dispatch.healing_failed",
            at_once=False,
        )

    async def slot(self) -> int | None:
        """Returns a publish slot for batches that are read from now on; None while the broker is away."""
        if time.monotonic() - self._away_since < self._pace.broker_retry:
            return None
        try:
            return await self._publisher.slot()
        except (redis.exceptions.RedisError, OSError) as error:
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
        try:
            with self.turns.dispatching():
                await self.publish([batch], slot)
        except (*FAULTS, SlotEnded) as error:
            # The batch stays recorded and unpublished: healing publishes it when the broker is back.
            log.warning("dispatch.publish_failed", runs=len(batch.runs), error=for_log(error))

    async def publish(self, batches: Sequence[Batch], slot: int | None) -> None:
        """Publishes committed batches, each at most once, and records that they are published.

        `slot` must have been taken before the batches were read. Without a slot nothing is published;
        healing does it later. Raises `SlotEnded` when the slot is over.
        """
        if slot is None:
            return
        refused: list[tuple[Batch, Sequence[PendingRun], str]] = []
        for batch in batches:
            refused += await self._push(batch, slot)
        async with self._database.connection() as connection:
            store = BatchStore(connection)
            for batch, runs, reason in refused:
                await store.give_up(batch.key.id, [(run.schedule_id, run.due) for run in runs], reason)
            await store.published([batch.key.id for batch in batches])
        await self._publisher.shorten_marks([batch.key.mark for batch in batches])
        done, gone = dt.datetime.now(dt.UTC), {run.message.task_id for _, runs, _ in refused for run in runs}
        for batch in batches:
            runs = [run for run in batch.runs if run.message.task_id not in gone] if gone else batch.runs
            self.metrics.published(runs, done)
        if gone:
            self.metrics.runs.labels("skipped").inc(len(gone))
        runs_sent = sum(len(batch.runs) for batch in batches) - len(gone)
        log.info("dispatch.published", batches=len(batches), runs=runs_sent)

    async def _push(self, batch: Batch, slot: int) -> list[tuple[Batch, Sequence[PendingRun], str]]:
        """Publishes one batch. Returns the runs whose queue the broker refused, with the reason."""
        if not batch.runs:
            return []
        marked = MarkedBatch(batch.key.mark, [run.message for run in batch.runs])
        receipt = await self._publisher.publish(marked, slot)
        if not receipt.refused:
            return []
        runs = {run.message.task_id: run for run in batch.runs}
        return [
            (
                batch,
                # A run may be missing: its schedule may have been deleted after the broker refused it.
                [runs[task_id] for task_id in task_ids if task_id in runs],
                f"not sent: the broker's key {key!r} is no list, so it can't be a queue",
            )
            for key, task_ids in receipt.refused
        ]

    async def _heal_all(self) -> None:
        while await self.heal():
            pass

    async def heal(self, older_than: dt.timedelta = HEAL_AFTER) -> int:
        """Publishes batches that are still unpublished: their process died, or the broker was away.

        Returns how many batches it found.
        """
        slot = await self._publisher.slot()
        async with self._database.connection() as connection:
            unpublished = await BatchStore(connection).unpublished(older_than, HEAL_BATCHES)
        for keys in _together(unpublished):
            await self.publish(await self._read(keys), slot)
        if unpublished:
            log.info("dispatch.healed", batches=len(unpublished), runs=sum(size for _, size in unpublished))
        return len(unpublished)

    async def _read(self, keys: Sequence[BatchKey]) -> list[Batch]:
        """Returns the batches with their runs; messages are made from the schedules as they are now.

        Runs whose schedule can't be read are given up.
        """
        runs: dict[int, list[PendingRun]] = {key.id: [] for key in keys}
        async with self._database.connection() as connection:
            store = BatchStore(connection)
            now = await store.now()
            for run in await store.runs(list(runs)):
                if run.template is None:
                    log.warning("schedule.unreadable", schedule=run.schedule_id, due=run.due, fault=run.fault)
                    await store.give_up(run.batch_id, [(run.schedule_id, run.due)], unreadable(run.fault))
                else:
                    pending = written(run.schedule_id, run.template, run.due, now, backfilled=run.backfilled)
                    runs[run.batch_id].append(pending)
        return [Batch(key, runs[key.id]) for key in keys]


def _together(batches: Iterable[tuple[BatchKey, int]]) -> Iterator[list[BatchKey]]:
    """Groups small batches, so that each step reads and publishes a limited number of runs."""
    total = 0

    def group(each: tuple[BatchKey, int]) -> int:
        nonlocal total
        total += each[1]
        return (total - 1) // HEAL_RUNS

    for _, members in itertools.groupby(batches, group):
        yield [key for key, _ in members]
