"""Many schedules at a time, on one connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import asyncpg

from services.kernel.errors import AlreadyExists
from services.scheduler.catalogue.store_schedules import insert, update
from services.scheduler.schedule.definition import Definition, Schedule
from services.scheduler.schedule.rows import schedule_of, values_of
from services.scheduler.schedule.store_base import Store

# One manifest at a time is applied: two of them would take their rows in each other's way.
APPLYING = 0x6365_6C65_7269_6163

Timed = tuple[Definition, dt.datetime | None]
LABELLED = """
    id = ANY(ARRAY(
        SELECT schedule_id FROM celery_schedule_facets
        WHERE facet = celery_schedule_facet('label ' || $2::text, $3::text)))
    AND labels ->> $2::text = $3::text
"""


class SetStore(Store):
    """Sets of schedules."""

    async def alone(self) -> None:
        """Waits until no other set is being applied, and keeps others waiting until the end."""
        await self._connection.execute("SELECT pg_advisory_xact_lock($1)", APPLYING)

    async def locked(self, ids: Sequence[str], label: tuple[str, str] | None) -> list[Schedule]:
        """The schedules with these ids, and all with the label: nobody changes them until the end."""
        condition = "id = ANY($1::text[])" + (f" OR ({LABELLED})" if label else "")
        query = f"SELECT * FROM celery_schedules WHERE {condition} ORDER BY id FOR UPDATE"
        return [schedule_of(row) for row in await self._connection.fetch(query, ids, *(label or ()))]

    async def create(self, each: Sequence[Timed]) -> None:
        if not each:
            return
        rows = [values_of(definition, due) for definition, due in each]
        try:
            await self._connection.executemany(insert(rows[0]), [tuple(row.values()) for row in rows])
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists("schedule", "one of the manifest's") from error

    async def change(self, each: Sequence[Timed]) -> None:
        if not each:
            return
        rows = [values_of(definition, due) for definition, due in each]
        await self._connection.executemany(update(rows[0]), [tuple(row.values()) for row in rows])

    async def remove(self, ids: Sequence[str]) -> None:
        if ids:
            await self._connection.execute("DELETE FROM celery_schedules WHERE id = ANY($1::text[])", ids)
