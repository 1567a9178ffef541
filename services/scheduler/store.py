"""The SQL of schedules and runs, as people see and change them. Dispatching has its own (store_due.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.errors import AlreadyExists, NotFound
from services.scheduler.batches import BatchKey
from services.scheduler.rows import run_of, values_of
from services.scheduler.schedules import Definition, Run, RunState, Schedule
from services.scheduler.store_listing import ScheduleFilter, listing
from services.scheduler.stored import schedule_of

JSON_COLUMNS = {"headers", "labels"}


class ScheduleStore:
    """Schedules and their runs, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def now(self) -> dt.datetime:
        """The database's clock: the one that counts."""
        moment: dt.datetime = await self._session.scalar(text("SELECT clock_timestamp()"))
        return moment

    async def create(self, definition: Definition, next_due_at: dt.datetime | None) -> Schedule:
        values = values_of(definition, next_due_at)
        columns, parameters = ", ".join(values), ", ".join(map(parameter, values))
        statement = text(f"INSERT INTO celery_schedules ({columns}) VALUES ({parameters}) RETURNING *")
        try:
            row = (await self._session.execute(statement, values)).mappings().one()
        except IntegrityError as error:
            raise AlreadyExists("schedule", f"schedules/{definition.id}") from error
        return schedule_of(row)

    async def get(self, schedule_id: str, *, for_change: bool = False) -> Schedule:
        lock = " FOR UPDATE" if for_change else ""
        result = await self._session.execute(
            text(f"SELECT * FROM celery_schedules WHERE id = :id{lock}"), {"id": schedule_id}
        )
        row = result.mappings().one_or_none()
        if row is None:
            raise NotFound("schedule", f"schedules/{schedule_id}")
        return schedule_of(row)

    async def change(
        self,
        definition: Definition,
        next_due_at: dt.datetime | None,
        but_not: Collection[str] = frozenset(),
    ) -> Schedule:
        """Writes all columns that a person decides, but not those named."""
        values = values_of(definition, next_due_at)
        values = {name: value for name, value in values.items() if name not in but_not}
        changes = ", ".join(f"{name} = {parameter(name)}" for name in values if name != "id")
        statement = text(
            f"UPDATE celery_schedules SET {changes}, version = version + 1, updated_at = now()"
            " WHERE id = :id RETURNING *"
        )
        return schedule_of((await self._session.execute(statement, values)).mappings().one())

    async def delete(self, schedule_id: str) -> None:
        await self._session.execute(text("DELETE FROM celery_schedules WHERE id = :id"), {"id": schedule_id})

    async def list(self, wanted: ScheduleFilter, after: str, most: int) -> Sequence[Schedule]:
        """Schedules with an id beyond `after`, by id."""
        query, values = listing(wanted, after, most)
        return [schedule_of(row) for row in (await self._session.execute(text(query), values)).mappings()]

    async def add_run(self, run: Run, request_id: str | None, *, exclusive: bool) -> BatchKey:
        """Records a triggered run, under the schedule's lock; gives the batch that it is."""
        row = await self._session.execute(
            text(
                "WITH batch AS ("
                " INSERT INTO celery_schedule_batches (recorded_at) VALUES (:due_at) RETURNING id)"
                " INSERT INTO celery_schedule_runs"
                " (schedule_id, due_at, state, reason, request_id, exclusive, batch_id)"
                " SELECT :schedule_id, :due_at, 'batched', :reason, :request_id, :exclusive, id FROM batch"
                " RETURNING batch_id, due_at"
            ),
            {
                "schedule_id": run.schedule_id,
                "due_at": run.due_at,
                "reason": run.reason,
                "request_id": request_id,
                "exclusive": exclusive,
            },
        )
        return BatchKey(*row.one())

    async def run_made_by(self, schedule_id: str, request_id: str) -> Run | None:
        """The run that the request has triggered already."""
        result = await self._session.execute(
            text(
                "SELECT * FROM celery_schedule_runs_seen"
                " WHERE schedule_id = :schedule_id AND request_id = :request_id"
            ),
            {"schedule_id": schedule_id, "request_id": request_id},
        )
        row = result.mappings().one_or_none()
        return None if row is None else run_of(row)

    async def list_runs(
        self,
        schedule_id: str,
        state: RunState | None,
        before: tuple[dt.datetime, str] | None,
        most: int,
    ) -> Sequence[Run]:
        """Runs before (due time, schedule), newest first."""
        conditions, values = ["true"], {"most": most, "id": schedule_id, "state": state and state.value}
        if schedule_id:
            conditions.append("schedule_id = :id")
        if state is not None:
            conditions.append("state = :state")
        if before is not None:
            conditions.append("(due_at, schedule_id) < (:before, :before_id)")
            values |= {"before": before[0], "before_id": before[1]}
        rows = await self._session.execute(
            text(
                f"SELECT * FROM celery_schedule_runs_seen WHERE {' AND '.join(conditions)}"
                " ORDER BY due_at DESC, schedule_id DESC LIMIT :most"
            ),
            values,
        )
        return [run_of(row) for row in rows.mappings()]


def parameter(column: str) -> str:
    return f"CAST(:{column} AS jsonb)" if column in JSON_COLUMNS else f":{column}"
