"""The SQL of backfills, as people see them. Their progress has its own (store_backfilling.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from services.kernel.parameters import Parameters
from services.scheduler.backfill.backfill import Backfill, BackfillState
from services.scheduler.schedule.store_base import Store

# All but the due times, of which there may be thousands.
COLUMNS = """
    id, schedule_id, start_at, end_at, newest_first, rate, actor, state, note, run_count, first_due_at,
    last_due_at, handled, sent, created_at, ended_at
"""
ADD = f"""
    INSERT INTO celery_schedule_backfills (
        id, schedule_id, start_at, end_at, newest_first, rate, actor, request_id, due_at, run_count,
        first_due_at, last_due_at, state, ended_at)
    VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9::timestamptz[], $10, $11, $12,
        CASE WHEN $10 = 0 THEN 'done' ELSE 'running' END, CASE WHEN $10 = 0 THEN now() END)
    RETURNING {COLUMNS}
"""
WITH_IDS = f"SELECT {COLUMNS} FROM celery_schedule_backfills WHERE id = ANY ($1::text[])"
RUN_ALREADY = """
    SELECT due_at FROM celery_schedule_runs
    WHERE schedule_id = $1 AND due_at >= $2 AND due_at < $3 AND state <> 'skipped'
"""
CANCEL = """
    UPDATE celery_schedule_backfills
    SET state = 'cancelled', note = $3, ended_at = now(), due_at = '{}'
    WHERE schedule_id = $1 AND id = $2 AND state = 'running'
"""
FORGET = "DELETE FROM celery_schedule_backfills WHERE schedule_id = $1 AND ended_at < now() - $2::interval"
REMEMBERED = dt.timedelta(days=90)


class BackfillStore(Store):
    """Backfills, on one connection."""

    async def run_already(self, schedule_id: str, start: dt.datetime, end: dt.datetime) -> set[dt.datetime]:
        """Due times from `start` on and before `end` that have a run which was not passed over."""
        return {row["due_at"] for row in await self._connection.fetch(RUN_ALREADY, schedule_id, start, end)}

    async def add(self, backfill: Backfill, due: Sequence[dt.datetime], request_id: str | None) -> Backfill:
        """Begins it, for these due times in this order. What ended long ago is forgotten then."""
        await self._connection.execute(FORGET, backfill.schedule_id, REMEMBERED)
        row = await self._connection.fetchrow(
            ADD,
            backfill.id,
            backfill.schedule_id,
            backfill.start,
            backfill.end,
            backfill.newest_first,
            backfill.rate,
            backfill.actor,
            request_id,
            due,
            backfill.run_count,
            backfill.first,
            backfill.last,
        )
        return _backfill_of(row)

    async def made_by(self, schedule_id: str, request_id: str) -> Backfill | None:
        """The backfill that the request has begun already."""
        return await self._one("schedule_id = $1 AND request_id = $2", schedule_id, request_id)

    async def running(self, schedule_id: str) -> Backfill | None:
        return await self._one("schedule_id = $1 AND state = 'running'", schedule_id)

    async def find(self, schedule_id: str, backfill_id: str) -> Backfill | None:
        return await self._one("schedule_id = $1 AND id = $2", schedule_id, backfill_id)

    async def with_ids(self, ids: Collection[str | None]) -> Mapping[str, Backfill]:
        """Those of them that there are, by id; of any schedules."""
        rows = await self._connection.fetch(WITH_IDS, list(ids))
        return {row["id"]: _backfill_of(row) for row in rows}

    async def _one(self, condition: str, *values: str) -> Backfill | None:
        query = f"SELECT {COLUMNS} FROM celery_schedule_backfills WHERE {condition}"
        row = await self._connection.fetchrow(query, *values)
        return None if row is None else _backfill_of(row)

    async def list(
        self, schedule_id: str, before: tuple[dt.datetime, str] | None, most: int
    ) -> Sequence[Backfill]:
        """Those before (creation, id), newest first; of all schedules when the id is empty."""
        values = Parameters()
        conditions: list[str] = ["true"]
        if schedule_id:
            conditions.append(f"schedule_id = {values.place(schedule_id)}")
        if before is not None:
            created, backfill = map(values.place, before)
            conditions.append(f"(created_at, id) < ({created}, {backfill})")
        query = (
            f"SELECT {COLUMNS} FROM celery_schedule_backfills WHERE {' AND '.join(conditions)}"
            f" ORDER BY created_at DESC, id DESC LIMIT {values.place(most)}"
        )
        return [_backfill_of(row) for row in await self._connection.fetch(query, *values)]

    async def cancel(self, schedule_id: str, backfill_id: str, note: str) -> None:
        """One that has ended stays as it is."""
        await self._connection.execute(CANCEL, schedule_id, backfill_id, note)


def _backfill_of(row: Any) -> Backfill:
    return Backfill(
        schedule_id=row["schedule_id"],
        start=row["start_at"],
        end=row["end_at"],
        rate=row["rate"],
        newest_first=row["newest_first"],
        run_count=row["run_count"],
        first=row["first_due_at"],
        last=row["last_due_at"],
        actor=row["actor"],
        id=row["id"],
        state=BackfillState(row["state"]),
        note=row["note"],
        handled=row["handled"],
        sent=row["sent"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
