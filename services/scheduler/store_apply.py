"""Many schedules at a time, in one session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.errors import AlreadyExists
from services.scheduler.rows import values_of
from services.scheduler.schedules import Definition, Schedule
from services.scheduler.store import parameter
from services.scheduler.stored import schedule_of

# One manifest at a time is applied: two of them would take their rows in each other's way.
APPLYING = 0x6365_6C65_7269_6163

Timed = tuple[Definition, dt.datetime | None]


class SetStore:
    """Sets of schedules."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def alone(self) -> None:
        """Waits until no other set is being applied, and keeps others waiting until the end."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": APPLYING})

    async def locked(self, ids: Sequence[str], label: tuple[str, str] | None) -> list[Schedule]:
        """The schedules with these ids, and all with the label: nobody changes them until the end."""
        values: dict[str, Any] = {"ids": list(ids)}
        condition = "id = ANY(CAST(:ids AS text[]))"
        if label is not None:
            facet = "celery_schedule_facet('label ' || CAST(:label AS text), :label_value)"
            found = f"SELECT schedule_id FROM celery_schedule_facets WHERE facet = {facet}"
            condition += f" OR (id = ANY(ARRAY({found})) AND labels ->> :label = :label_value)"
            values["label"], values["label_value"] = label
        rows = await self._session.execute(
            text(f"SELECT * FROM celery_schedules WHERE {condition} ORDER BY id FOR UPDATE"), values
        )
        return [schedule_of(row) for row in rows.mappings()]

    async def create(self, each: Sequence[Timed]) -> None:
        if not each:
            return
        rows = [values_of(definition, due) for definition, due in each]
        columns, parameters = ", ".join(rows[0]), ", ".join(map(parameter, rows[0]))
        statement = text(f"INSERT INTO celery_schedules ({columns}) VALUES ({parameters})")
        try:
            await self._session.execute(statement, rows)
        except IntegrityError as error:
            raise AlreadyExists("schedule", "one of the manifest's") from error

    async def change(self, each: Sequence[Timed]) -> None:
        if not each:
            return
        rows = [values_of(definition, due) for definition, due in each]
        changes = ", ".join(f"{name} = {parameter(name)}" for name in rows[0] if name != "id")
        statement = text(
            f"UPDATE celery_schedules SET {changes}, version = version + 1, updated_at = now() WHERE id = :id"
        )
        await self._session.execute(statement, rows)

    async def remove(self, ids: Sequence[str]) -> None:
        if ids:
            statement = text("DELETE FROM celery_schedules WHERE id = ANY(CAST(:ids AS text[]))")
            await self._session.execute(statement, {"ids": list(ids)})
