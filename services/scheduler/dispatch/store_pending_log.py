"""The SQL that finds batches which stay unpublished, and adds them to the log of changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from services.scheduler.schedule.store_base import Store

LATE = """
    SELECT id, recorded_at <= now() - $3::interval AS settled, EXISTS (
        SELECT FROM celery_schedule_changes c WHERE c.kind = 'unpublished' AND c.batch_id = b.id
    ) AS logged
    FROM celery_schedule_batches b
    WHERE published_at IS NULL AND id > $1 AND recorded_at <= now() - $2::interval
    ORDER BY id LIMIT $4
"""
# On conflict: another replica has logged the batch.
LOG = """
    INSERT INTO celery_schedule_changes (kind, batch_id) SELECT 'unpublished', unnest($1::bigint[])
    ON CONFLICT (batch_id) WHERE kind = 'unpublished' DO NOTHING
"""


class Late(NamedTuple):
    """An unpublished batch. `settled`: it is so old that no batch with a lower id can still be committed."""

    id: int
    settled: bool
    logged: bool


class PendingStore(Store):
    """Unpublished batches, on one connection."""

    async def late(self, after: int, age: dt.timedelta, settled: dt.timedelta, most: int) -> list[Late]:
        """Returns unpublished batches with an id above `after` and older than `age`, by id.

        `settled` is the age from which a batch counts as settled.
        """
        return [Late(*row) for row in await self._connection.fetch(LATE, after, age, settled, most)]

    async def log(self, batch_ids: Sequence[int]) -> None:
        await self._connection.execute(LOG, batch_ids)
