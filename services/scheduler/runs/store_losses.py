"""The SQL for a broker that has lost its data: its known identity, and the runs that may be lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from services.scheduler.dispatch.batches import BatchKey
from services.scheduler.dispatch.store_batches import DispatchStore
from services.scheduler.runs.store_outcomes import SETTINGS
from services.scheduler.schedule.definition import task_id

KNOWN = """
    INSERT INTO celery_schedule_broker (identity) VALUES ($1)
    ON CONFLICT (one) DO UPDATE SET
        seen_at = CASE WHEN celery_schedule_broker.identity = excluded.identity
            THEN now() ELSE celery_schedule_broker.seen_at END,
        lost_at = CASE WHEN celery_schedule_broker.identity = excluded.identity
            THEN NULL ELSE coalesce(celery_schedule_broker.lost_at, now()) END
    RETURNING seen_at, lost_at
"""
SETTLED = "UPDATE celery_schedule_broker SET identity = $1, seen_at = now(), lost_at = NULL"
UNHEARD = """
    SELECT r.schedule_id, r.due_at, r.batch_id, b.recorded_at, s.queue, s.priority, r.task_namespace
    FROM celery_schedule_runs r
    JOIN celery_schedule_batches b ON b.id = r.batch_id
    JOIN celery_schedules s ON s.id = r.schedule_id
    WHERE r.state = 'batched' AND r.outcome IS NULL AND r.batch_id > $1
        AND b.recorded_at <= $2 AND b.published_at <= coalesce($3::timestamptz, 'infinity')
    ORDER BY r.batch_id FETCH FIRST $4 ROWS WITH TIES
"""
ON_THE_WAY = """
    SELECT EXISTS (
        SELECT FROM celery_schedule_batches WHERE published_at IS NULL AND recorded_at <= $1)
"""
LOST = """
    UPDATE celery_schedule_runs r
    SET state = CASE WHEN s.resend_lost THEN 'batched' ELSE 'lost' END,
        batch_id = CASE WHEN s.resend_lost THEN $6 ELSE r.batch_id END,
        reason = left(r.reason || CASE WHEN s.resend_lost THEN $5 ELSE $4 END, 500)
    FROM unnest($1::text[], $2::timestamptz[], $3::bigint[]) AS gone (schedule_id, due_at, batch_id),
        celery_schedules s
    WHERE r.schedule_id = gone.schedule_id AND r.due_at = gone.due_at AND s.id = gone.schedule_id
        AND r.state = 'batched' AND r.outcome IS NULL AND r.batch_id = gone.batch_id
"""


class Unheard(NamedTuple):
    """A run that was published and whose outcome is not known."""

    schedule_id: str
    due_at: dt.datetime
    batch: BatchKey
    queue: str
    priority: int
    task_namespace: bytes | None

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at, self.task_namespace)


class LossStore(DispatchStore):
    """Losses, on one connection."""

    async def known(self, identity: str) -> tuple[dt.datetime, dt.datetime | None]:
        """Returns when the known broker was last seen, and when its loss was found.

        The second is None if `identity` is that of the known broker.
        """
        row = await self._connection.fetchrow(KNOWN, identity)
        assert row is not None
        return row["seen_at"], row["lost_at"]

    async def settled(self, identity: str) -> None:
        """Makes this the known broker."""
        await self._connection.execute(SETTLED, identity)

    async def on_the_way(self, until: dt.datetime) -> bool:
        """Returns whether a batch recorded up to `until` is not yet recorded as published."""
        return bool(await self._connection.fetchval(ON_THE_WAY, until))

    async def unheard(
        self, after: int, recorded: dt.datetime, published: dt.datetime | None, most: int
    ) -> list[Unheard]:
        """Returns open runs of batches with an id beyond `after`, at least `most` if there are so many.

        The batches were recorded up to `recorded`, and published up to `published` (None: at any time).
        """
        async with self._connection.transaction():
            await self._connection.execute(SETTINGS)
            rows = await self._connection.fetch(UNHEARD, after, recorded, published, most)
        return [
            Unheard(schedule_id, due, BatchKey(batch_id, recorded_at), queue, priority, namespace)
            for schedule_id, due, batch_id, recorded_at, queue, priority, namespace in rows
        ]

    async def lost(self, runs: Sequence[Unheard], marked: str, again: str) -> None:
        """Marks the runs as lost, or has them sent again, as their schedules say.

        Adds `marked` or `again`, respectively, to their reasons.
        """
        rows = [(run.schedule_id, run.due_at, run.batch.id) for run in runs]
        async with self.transaction():
            key = await self.new_batch()
            await self._connection.execute(LOST, *map(list, zip(*rows, strict=True)), marked, again, key.id)
