"""The SQL of schedules and runs for the use cases. Dispatching has its own (dispatch/store_due.py)."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Collection, Sequence

import asyncpg

from services.kernel.errors import AlreadyExists, NotFound
from services.kernel.once import Once
from services.kernel.pages import Place
from services.scheduler.catalogue.store_listing import (
    SETTINGS,
    RunFilter,
    ScheduleFilter,
    a_rare_facet,
    listing,
    listing_by_next_run,
    listing_runs,
    needs_a_rare_facet,
)
from services.scheduler.dispatch.batches import BatchKey
from services.scheduler.schedule.definition import Definition, Run, Schedule
from services.scheduler.schedule.rows import Row, run_of, schedule_of, values_of
from services.scheduler.schedule.store_base import Store

ADD_RUN = """
    WITH batch AS (INSERT INTO celery_schedule_batches (recorded_at) VALUES ($2) RETURNING id)
    INSERT INTO celery_schedule_runs
        (schedule_id, due_at, state, reason, request_id, request_digest, exclusive, task_namespace,
        schedule_version, call_id, batch_id)
    SELECT $1, $2, 'batched', $3, $4, $5, $6, $7, $8, $9, id FROM batch
    RETURNING batch_id, due_at
"""
EXISTS = "SELECT EXISTS (SELECT FROM celery_schedules WHERE id = $1)"
# How many rows of a list are in memory at a time. Each may have half a megabyte of arguments.
AT_A_TIME = 50
RUN = "SELECT * FROM celery_schedule_runs_seen WHERE schedule_id = $1 AND due_at = $2"
MADE_BY = """
    SELECT seen.*, run.request_digest
    FROM celery_schedule_runs_seen seen JOIN celery_schedule_runs run USING (schedule_id, due_at)
    WHERE seen.schedule_id = $1 AND seen.request_id = $2
"""


class ScheduleStore(Store):
    """Schedules and their runs, on one connection."""

    async def create(self, definition: Definition, next_due_at: dt.datetime | None) -> Schedule:
        """Raises `AlreadyExists`."""
        values = values_of(definition, next_due_at)
        try:
            row = await self._connection.fetchrow(f"{insert(values)} RETURNING *", *values.values())
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists("schedule", f"schedules/{definition.id}") from error
        return schedule_of(row)

    async def get(self, schedule_id: str, *, for_change: bool = False) -> Schedule:
        """Returns a schedule; `for_change` locks its row until the transaction ends. Raises `NotFound`."""
        lock = " FOR UPDATE" if for_change else ""
        row = await self._connection.fetchrow(
            f"SELECT * FROM celery_schedules WHERE id = $1{lock}", schedule_id
        )
        if row is None:
            raise NotFound("schedule", f"schedules/{schedule_id}")
        return schedule_of(row)

    async def require(self, schedule_id: str) -> None:
        """Raises `NotFound` unless the schedule exists."""
        if not await self._connection.fetchval(EXISTS, schedule_id):
            raise NotFound("schedule", f"schedules/{schedule_id}")

    async def change(
        self,
        definition: Definition,
        next_due_at: dt.datetime | None,
        but_not: Collection[str] = frozenset(),
    ) -> Schedule:
        """Writes the columns of the definition and the next due time, except those in `but_not`."""
        values = values_of(definition, next_due_at)
        values = {name: value for name, value in values.items() if name not in but_not}
        return schedule_of(await self._connection.fetchrow(f"{update(values)} RETURNING *", *values.values()))

    async def delete(self, schedule_id: str) -> None:
        await self._connection.execute("DELETE FROM celery_schedules WHERE id = $1", schedule_id)

    async def listed(
        self, wanted: ScheduleFilter, after: str, most: int
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Yields the rows of schedules with an id beyond `after`, by id, up to AT_A_TIME at once.

        `schedule_of` makes a schedule of a row.
        """
        rare = await self._rare(wanted) if needs_a_rare_facet(wanted) else None
        query, values = listing(wanted, after, most, rare)
        cursor = await self._connection.cursor(query, *values)
        while rows := await cursor.fetch(AT_A_TIME):
            yield rows

    async def listed_by_next_run(
        self, wanted: ScheduleFilter, after: Place | None, most: int
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Like `listed`, for schedules with a next due time, after (moment of sending, id), in that order."""
        rare = await self._rare(wanted)
        query, values = listing_by_next_run(wanted, after, rare, most)
        cursor = await self._connection.cursor(query, *values)
        while rows := await cursor.fetch(AT_A_TIME):
            yield rows

    async def _rare(self, wanted: ScheduleFilter) -> int | None:
        """Returns the index of a rare group of facets; None if there is none."""
        probe = a_rare_facet(wanted)
        if probe is None:
            return None
        query, values = probe
        await self._connection.execute(SETTINGS)
        rare: int | None = await self._connection.fetchval(query, *values)
        return rare

    async def add_run(self, run: Run, once: Once | None, *, exclusive: bool, call_id: str) -> BatchKey:
        """Records a triggered run as a batch of its own, and returns that. The schedule must be locked.

        `call_id`: the request id of the call; empty if it is not known.
        """
        request = (once.request_id, once.digest) if once else (None, None)
        own = run.task_namespace, run.schedule_version, call_id or None
        values = run.schedule_id, run.due_at, run.reason, *request, exclusive, *own
        return BatchKey(*await self._connection.fetchrow(ADD_RUN, *values))

    async def run(self, schedule_id: str, due_at: dt.datetime) -> Run | None:
        row = await self._connection.fetchrow(RUN, schedule_id, due_at)
        return None if row is None else run_of(row)

    async def run_made_by(self, schedule_id: str, once: Once | None) -> Run | None:
        """Returns the run that the request triggered earlier, if there is one.

        Raises `Invalid` if another request had the same id.
        """
        row = await self._made_by(MADE_BY, schedule_id, once)
        return None if row is None else run_of(row)

    async def list_runs(self, wanted: RunFilter, before: Place | None, most: int) -> Sequence[Run]:
        """Returns runs before (due time, schedule), newest first."""
        query, values = listing_runs(wanted, before, most)
        return [run_of(row) for row in await self._connection.fetch(query, *values)]


def insert(columns: Collection[str]) -> str:
    """Returns the statement that adds a schedule. Its values are in the order of the columns."""
    places = ", ".join(f"${number}" for number, _ in enumerate(columns, 1))
    return f"INSERT INTO celery_schedules ({', '.join(columns)}) VALUES ({places})"


def update(columns: Collection[str]) -> str:
    """Returns the statement that writes a schedule's next version.

    Its values are in the order of the columns, which must include `id`.
    """
    places = {name: f"${number}" for number, name in enumerate(columns, 1)}
    changes = ", ".join(f"{name} = {place}" for name, place in places.items() if name != "id")
    return (
        f"UPDATE celery_schedules SET {changes}, version = version + 1, updated_at = now()"
        f" WHERE id = {places['id']}"
    )
