"""Brings what is recorded to the broker: each batch once, whoever recorded it, and whatever came in between.

After the commit, a batch's messages go to the broker in one atomic step; then it is recorded as published. A
crash before that is healed by whoever finds the batch unpublished.
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

from services.kernel.database import DATABASE_ERRORS, Database
from services.kernel.logged_errors import for_log
from services.kernel.loops import Loop
from services.scheduler.dispatch.batches import Batch, BatchKey, PendingRun, written
from services.scheduler.dispatch.decide import unreadable
from services.scheduler.dispatch.metrics import DispatchMetrics
from services.scheduler.dispatch.publisher import Parcel, PermitEnded, Publisher
from services.scheduler.dispatch.store_batches import BatchStore
from services.scheduler.dispatch.turns import Turns
from services.scheduler.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# Batches that may be on their way to the broker while the next is being claimed.
IN_FLIGHT = 2
HEAL_AFTER = dt.timedelta(seconds=3)
# Healed at a time: so many batches, but for more than one no more runs than this.
HEAL_BATCHES = 200
HEAL_RUNS = 1000
FAULTS = (*DATABASE_ERRORS, redis.exceptions.RedisError)


class Delivery:
    """Publishes; `healing` is the background loop that publishes what was left unpublished."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        registry: CollectorRegistry,
        turns: Turns | None = None,
        pace: Pace = USUAL,
    ) -> None:
        """`turns`: those of the calls that are to give way to what is due."""
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
            outlives=(*FAULTS, PermitEnded),
            failed="dispatch.healing_failed",
            at_once=False,
        )

    async def permit(self) -> int | None:
        """The broker's permit to publish what is read from now on; None while it is away."""
        if time.monotonic() - self._away_since < self._pace.broker_retry:
            return None
        try:
            return await self._publisher.permit()
        except (redis.exceptions.RedisError, OSError) as error:
            self._away_since = time.monotonic()
            log.warning("dispatch.broker_away", error=for_log(error))
            return None

    async def send_on_its_way(self, batch: Batch, permit: int | None) -> None:
        """Begins to publish, once not too much is on its way already."""
        while len(self._on_the_way) >= IN_FLIGHT:
            await asyncio.wait(self._on_the_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._publish_or_leave(batch, permit))
        self._on_the_way.add(task)
        task.add_done_callback(self._on_the_way.discard)

    async def drain(self) -> None:
        """Waits for what is on its way to the broker."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._on_the_way, return_exceptions=True)

    async def _publish_or_leave(self, batch: Batch, permit: int | None) -> None:
        try:
            with self.turns.dispatching():
                await self.publish([batch], permit)
        except (*FAULTS, PermitEnded) as error:
            # It stays committed and unpublished: healing publishes it when the broker is back.
            log.warning("dispatch.publish_failed", runs=len(batch.runs), error=for_log(error))

    async def publish(self, batches: Sequence[Batch], permit: int | None) -> None:
        """Publishes batches that are committed, and records that they are; each at most once, ever.

        With a permit that was taken before they were read; without one they stay unpublished, and are healed.
        """
        if permit is None:
            return
        refused: list[tuple[Batch, Sequence[PendingRun], str]] = []
        for batch in batches:
            refused += await self._push(batch, permit)
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

    async def _push(self, batch: Batch, permit: int) -> list[tuple[Batch, Sequence[PendingRun], str]]:
        """Gives the runs that the broker has no place for, with the reason."""
        if not batch.runs:
            return []
        parcel = Parcel(batch.key.mark, [run.message for run in batch.runs])
        receipt = await self._publisher.publish(parcel, permit)
        if not receipt.refused:
            return []
        runs = {run.message.task_id: run for run in batch.runs}
        return [
            (
                batch,
                # A schedule may have been deleted since they were refused.
                [runs[task_id] for task_id in task_ids if task_id in runs],
                f"not sent: the broker's key {key!r} is no list, so it can't be a queue",
            )
            for key, task_ids in receipt.refused
        ]

    async def _heal_all(self) -> None:
        while await self.heal():
            pass

    async def heal(self, older_than: dt.timedelta = HEAL_AFTER) -> int:
        """Publishes what was committed and not published: its process died, or the broker was away.

        Gives how many batches that were.
        """
        permit = await self._publisher.permit()
        async with self._database.connection() as connection:
            unpublished = await BatchStore(connection).unpublished(older_than, HEAL_BATCHES)
        for keys in _together(unpublished):
            await self.publish(await self._read(keys), permit)
        if unpublished:
            log.info("dispatch.healed", batches=len(unpublished), runs=sum(size for _, size in unpublished))
        return len(unpublished)

    async def _read(self, keys: Sequence[BatchKey]) -> list[Batch]:
        """Batches whole, as their schedules are now."""
        runs: dict[int, list[PendingRun]] = {key.id: [] for key in keys}
        async with self._database.connection() as connection:
            store = BatchStore(connection)
            now = await store.now()
            for run in await store.runs(list(runs)):
                if run.letterhead is None:
                    log.warning("schedule.unreadable", schedule=run.schedule_id, due=run.due, fault=run.fault)
                    await store.give_up(run.batch_id, [(run.schedule_id, run.due)], unreadable(run.fault))
                else:
                    pending = written(
                        run.schedule_id, run.letterhead, run.due, now, backfilled=run.backfilled
                    )
                    runs[run.batch_id].append(pending)
        return [Batch(key, runs[key.id]) for key in keys]


def _together(batches: Iterable[tuple[BatchKey, int]]) -> Iterator[list[BatchKey]]:
    """Small ones together: what is read and sent at a time is bounded."""
    total = 0

    def group(each: tuple[BatchKey, int]) -> int:
        nonlocal total
        total += each[1]
        return (total - 1) // HEAL_RUNS

    for _, members in itertools.groupby(batches, group):
        yield [key for key, _ in members]
