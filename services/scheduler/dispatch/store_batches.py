"""The SQL of batches."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from services.scheduler.dispatch.batches import BatchKey
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.rows import TASK_COLUMNS, RowUnreadable, template_of
from services.scheduler.schedule.store_base import Store

# celeriac.dispatching: the trigger on schedules then notifies nobody. The timeout: a frozen dispatcher must
# not keep its rows locked. enable_…: rows are always found by index, as the planner's statistics may be of a
# time when the tables were much smaller.
SETTINGS = """
    SELECT set_config('celeriac.dispatching', 'on', true),
           set_config('idle_in_transaction_session_timeout', '2s', true),
           set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
           set_config('enable_material', 'off', true)
"""
NEW = "INSERT INTO celery_schedule_batches (recorded_at) VALUES (clock_timestamp()) RETURNING id, recorded_at"
# The commit does not wait for the disk. If it is lost, the batch is healed, and its mark on the broker keeps
# it from being published twice.
PUBLISHED = """
    UPDATE celery_schedule_batches SET published_at = now()
    FROM set_config('synchronous_commit', 'off', true) WHERE id = ANY($1::bigint[])
"""


def _unpublished(which: str = "") -> str:
    # A batch with a time in the future was recorded before the clock was set back.
    return f"""
    SELECT id, recorded_at, (
        SELECT count(*) FROM celery_schedule_runs r
        WHERE r.batch_id = b.id AND r.state = 'batched' AND r.outcome IS NULL
    ) AS size
    FROM celery_schedule_batches b
    WHERE published_at IS NULL AND (recorded_at <= now() - $1::interval OR recorded_at > now()) {which}
    ORDER BY id LIMIT $2
"""


UNPUBLISHED = _unpublished()
UNPUBLISHED_BUT_NOT = _unpublished("AND id <> ALL($3::bigint[])")
RUNS = f"""
    SELECT r.batch_id, r.schedule_id AS id, r.due_at, r.backfill_id IS NOT NULL AS backfilled,
        r.task_namespace, r.call_id, {TASK_COLUMNS}
    FROM celery_schedule_runs r JOIN celery_schedules s ON s.id = r.schedule_id
    LEFT JOIN celery_schedule_backfills f ON f.id = r.backfill_id
    WHERE r.batch_id = ANY($1::bigint[]) AND r.state = 'batched' AND r.outcome IS NULL
    ORDER BY CASE WHEN f.newest_first THEN r.due_at END DESC, r.due_at, r.schedule_id
"""
GIVEN_UP = """
    UPDATE celery_schedule_runs r SET state = 'skipped', reason = $4
    FROM unnest($2::text[], $3::timestamptz[]) AS gone (schedule_id, due_at)
    WHERE r.schedule_id = gone.schedule_id AND r.due_at = gone.due_at
        AND r.batch_id = $1 AND r.state = 'batched'
"""
# The runs get a batch of their own.
APART = """
    WITH apart AS (INSERT INTO celery_schedule_batches (recorded_at) VALUES (clock_timestamp()) RETURNING id)
    UPDATE celery_schedule_runs r SET batch_id = apart.id
    FROM apart, unnest($2::text[], $3::timestamptz[]) AS moved (schedule_id, due_at)
    WHERE r.schedule_id = moved.schedule_id AND r.due_at = moved.due_at
        AND r.batch_id = $1 AND r.state = 'batched'
"""


class Unpublished(NamedTuple):
    """A run of a batch that may not be published yet.

    `template` is None when the row of its schedule can't be read; `fault` then says why.
    """

    batch_id: int
    schedule_id: str
    due: dt.datetime
    template: MessageTemplate | None
    fault: str = ""
    backfilled: bool = False
    task_namespace: bytes | None = None
    # The request id of the call that asked for it; empty if none did.
    call_id: str = ""


class DispatchStore(Store):
    """A store on one connection, whose transactions have the dispatcher's settings."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            await self._connection.execute(SETTINGS)
            yield

    async def new_batch(self) -> BatchKey:
        """Inserts a batch for the runs that this transaction records."""
        row = await self._connection.fetchrow(NEW)
        assert row is not None
        return BatchKey(*row)


class BatchStore(DispatchStore):
    """Reads and updates recorded batches."""

    async def published(self, batch_ids: Sequence[int]) -> None:
        await self._connection.execute(PUBLISHED, batch_ids)

    async def unpublished(
        self, older_than: dt.timedelta, most: int, but_not: Sequence[int] = ()
    ) -> list[tuple[BatchKey, int]]:
        """Returns the oldest unpublished batches older than `older_than`, with the number of their runs.

        Batches with an id in `but_not` are not among them.
        """
        if but_not:
            rows = await self._connection.fetch(UNPUBLISHED_BUT_NOT, older_than, most, but_not)
        else:
            rows = await self._connection.fetch(UNPUBLISHED, older_than, most)
        return [(BatchKey(number, recorded_at), size) for number, recorded_at, size in rows]

    async def runs(self, batch_ids: Sequence[int]) -> list[asyncpg.Record]:
        """Returns the runs of these batches that are to be published, for `unpublished_of`."""
        async with self.transaction():
            rows: list[asyncpg.Record] = await self._connection.fetch(RUNS, batch_ids)
            return rows

    async def set_apart(self, batch_id: int, runs: Sequence[tuple[str, dt.datetime]]) -> None:
        """Gives runs of the batch, by schedule and due time, a batch of their own, not published yet."""
        schedule_ids, due = [schedule_id for schedule_id, _ in runs], [each for _, each in runs]
        await self._connection.execute(APART, batch_id, schedule_ids, due)

    async def give_up(self, batch_id: int, runs: Sequence[tuple[str, dt.datetime]], reason: str) -> None:
        """Records runs of the batch, given by schedule and due time, as skipped: they can't be published."""
        schedule_ids, due = [schedule_id for schedule_id, _ in runs], [each for _, each in runs]
        await self._connection.execute(GIVEN_UP, batch_id, schedule_ids, due, reason[:500])


def unpublished_of(row: asyncpg.Record) -> Unpublished:
    key = row["batch_id"], row["id"], row["due_at"]
    try:
        template, namespace, call_id = template_of(row), row["task_namespace"], row["call_id"] or ""
        more = row["backfilled"], namespace, call_id
        return Unpublished(*key, template, "", *more)
    except RowUnreadable as error:
        return Unpublished(*key, None, str(error))
