"""The SQL of backfills, as people see them. Their progress has its own (store_backfilling.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.scheduler.backfills import Backfill, BackfillState

ADD = """
    INSERT INTO celery_schedule_backfills (
        id, schedule_id, start_at, end_at, newest_first, rate, actor, request_id, due_at, run_count,
        first_due_at, last_due_at, state, ended_at)
    VALUES (
        :id, :schedule_id, :start, :end, :newest_first, :rate, :actor, :request_id,
        CAST(:due AS timestamptz[]), :run_count, :first, :last,
        CASE WHEN :run_count = 0 THEN 'done' ELSE 'running' END, CASE WHEN :run_count = 0 THEN now() END)
    RETURNING *
"""
RUN_ALREADY = """
    SELECT due_at FROM celery_schedule_runs
    WHERE schedule_id = :schedule_id AND due_at >= :start AND due_at < :end AND state <> 'skipped'
"""
CANCEL = """
    UPDATE celery_schedule_backfills
    SET state = 'cancelled', note = :note, ended_at = now(), due_at = '{}'
    WHERE schedule_id = :schedule_id AND id = :id AND state = 'running'
"""
FORGET = """
    DELETE FROM celery_schedule_backfills
    WHERE schedule_id = :schedule_id AND ended_at < now() - CAST(:age AS interval)
"""
REMEMBERED = dt.timedelta(days=90)


class BackfillStore:
    """Backfills, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def run_already(self, schedule_id: str, start: dt.datetime, end: dt.datetime) -> set[dt.datetime]:
        """Due times from `start` on and before `end` that have a run which was not passed over."""
        values = {"schedule_id": schedule_id, "start": start, "end": end}
        return set(await self._session.scalars(text(RUN_ALREADY), values))

    async def add(self, backfill: Backfill, due: Sequence[dt.datetime], request_id: str | None) -> Backfill:
        """Begins it, for these due times in this order. What ended long ago is forgotten then."""
        forget = {"schedule_id": backfill.schedule_id, "age": REMEMBERED}
        await self._session.execute(text(FORGET), forget)
        values = {
            "id": backfill.id,
            "schedule_id": backfill.schedule_id,
            "start": backfill.start,
            "end": backfill.end,
            "newest_first": backfill.newest_first,
            "rate": backfill.rate,
            "actor": backfill.actor,
            "request_id": request_id,
            "due": list(due),
            "run_count": backfill.run_count,
            "first": backfill.first,
            "last": backfill.last,
        }
        return _backfill_of((await self._session.execute(text(ADD), values)).mappings().one())

    async def made_by(self, schedule_id: str, request_id: str) -> Backfill | None:
        """The backfill that the request has begun already."""
        return await self._one("schedule_id = :schedule_id AND request_id = :id", schedule_id, request_id)

    async def running(self, schedule_id: str) -> Backfill | None:
        return await self._one("schedule_id = :schedule_id AND state = 'running'", schedule_id, "")

    async def find(self, schedule_id: str, backfill_id: str) -> Backfill | None:
        return await self._one("schedule_id = :schedule_id AND id = :id", schedule_id, backfill_id)

    async def _one(self, condition: str, schedule_id: str, found_by: str) -> Backfill | None:
        query = f"SELECT * FROM celery_schedule_backfills WHERE {condition}"
        values = {"schedule_id": schedule_id} | ({"id": found_by} if found_by else {})
        row = (await self._session.execute(text(query), values)).mappings().one_or_none()
        return None if row is None else _backfill_of(row)

    async def list(
        self, schedule_id: str, before: tuple[dt.datetime, str] | None, most: int
    ) -> Sequence[Backfill]:
        """Those before (creation, id), newest first; of all schedules when the id is empty."""
        conditions: list[str] = ["true"]
        values: dict[str, Any] = {"most": most}
        if schedule_id:
            conditions.append("schedule_id = :schedule_id")
            values["schedule_id"] = schedule_id
        if before is not None:
            conditions.append("(created_at, id) < (:before, :before_id)")
            values["before"], values["before_id"] = before
        query = (
            f"SELECT * FROM celery_schedule_backfills WHERE {' AND '.join(conditions)}"
            " ORDER BY created_at DESC, id DESC LIMIT :most"
        )
        return [_backfill_of(row) for row in (await self._session.execute(text(query), values)).mappings()]

    async def cancel(self, schedule_id: str, backfill_id: str, note: str) -> None:
        """One that has ended stays as it is."""
        values = {"schedule_id": schedule_id, "id": backfill_id, "note": note}
        await self._session.execute(text(CANCEL), values)


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
