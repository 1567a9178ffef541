"""The SQL of the live configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

from services.kernel.parameters import Parameters
from services.kernel.sealing import Sealed
from services.kernel.snapshots import ORIGIN
from services.scheduler.config.in_force import Change, Place, Revision, Stored
from services.scheduler.schedule.store_base import Store

CHANNEL = "celery_system_config"
REVISION = """
    SELECT r.*, o.value AS old_value
    FROM celery_system_config_revisions r
    LEFT JOIN celery_system_config_revisions o ON o.revision = r.previous
"""
ADD_REVISION = """
    INSERT INTO celery_system_config_revisions (
        revision, key, change, is_set, value, sealed, previous, rolled_back_to, actor, comment, request_id)
    VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7, $8, $9, $10, $11)
"""
IN_FORCE = """
    INSERT INTO celery_system_config (key, is_set, value, revision, updated_by)
    VALUES ($1, $2, $3::jsonb, $4, $5)
    ON CONFLICT (key) DO UPDATE
    SET is_set = excluded.is_set, value = excluded.value, revision = excluded.revision,
        updated_by = excluded.updated_by, updated_at = now()
"""
# One change at a time, so that revisions become visible in the order of their numbers.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('celery_system_config_revisions'))"
NEWEST = f"""
    SELECT {ORIGIN} AS origin, coalesce(max(revision), 0) AS revision FROM celery_system_config_revisions
"""
MADE_BY = f"{REVISION} WHERE r.key = $1 AND r.request_id = $2"
RESEAL = "UPDATE celery_system_config_revisions SET sealed = $2::jsonb WHERE revision = $1"


class ConfigStore(Store):
    """The live configuration, on one connection."""

    async def lock(self) -> None:
        """Waits for other changes of the configuration, and keeps them out until the transaction ends."""
        await self._connection.execute(LOCK)

    async def find(self, key: str) -> Stored | None:
        row = await self._connection.fetchrow("SELECT * FROM celery_system_config WHERE key = $1", key)
        return None if row is None else _stored_of(row)

    async def all(self) -> Sequence[Stored]:
        return list(map(_stored_of, await self._connection.fetch("SELECT * FROM celery_system_config")))

    async def changed_after(self, revision: int) -> Sequence[Stored]:
        query = "SELECT * FROM celery_system_config WHERE revision > $1 ORDER BY revision"
        return list(map(_stored_of, await self._connection.fetch(query, revision)))

    async def newest(self) -> Place:
        """Returns the place after the newest revision; its number is 0 when there is no revision yet."""
        row = await self._connection.fetchrow(NEWEST)
        return Place(row["origin"], row["revision"])

    async def revision(self, key: str, number: int) -> Revision | None:
        query = f"{REVISION} WHERE r.revision = $1 AND r.key = $2"
        row = await self._connection.fetchrow(query, number, key)
        return None if row is None else _revision_of(row)

    async def revisions(self, key: str, before: int | None, most: int) -> Sequence[Revision]:
        """Returns revisions below `before`, newest first; of all keys when `key` is empty."""
        values = Parameters()
        conditions = ["true"]
        if key:
            conditions.append(f"r.key = {values.place(key)}")
        if before is not None:
            conditions.append(f"r.revision < {values.place(before)}")
        query = f"{REVISION} WHERE {' AND '.join(conditions)} ORDER BY r.revision DESC"
        rows = await self._connection.fetch(f"{query} LIMIT {values.place(most)}", *values)
        return list(map(_revision_of, rows))

    async def made_by(self, key: str, request_id: str) -> Revision | None:
        """Returns the revision that the request made earlier, or None."""
        row = await self._connection.fetchrow(MADE_BY, key, request_id)
        return None if row is None else _revision_of(row)

    async def next_revision(self) -> int:
        number: int = await self._connection.fetchval("SELECT nextval('celery_system_config_revision')")
        return number

    async def write(self, revision: Revision, request_id: str | None) -> None:
        """Adds the revision and puts it in force. Listeners are notified when the transaction commits."""
        value, sealed = _json(revision.value), _json(revision.sealed)
        await self._connection.execute(
            ADD_REVISION,
            revision.number,
            revision.key,
            revision.change.value,
            revision.is_set,
            value,
            sealed,
            revision.previous,
            revision.rolled_back_to,
            revision.actor,
            revision.comment,
            request_id,
        )
        await self._connection.execute(
            IN_FORCE, revision.key, revision.is_set, value, revision.number, revision.actor
        )
        await self._connection.execute(f"SELECT pg_notify('{CHANNEL}', '')")

    async def sealed_otherwise(self, key_id: str) -> Sequence[Revision]:
        """Returns the revisions whose data key is wrapped by another key than this one."""
        query = f"{REVISION} WHERE r.sealed ->> 'key' <> $1 ORDER BY r.revision"
        return list(map(_revision_of, await self._connection.fetch(query, key_id)))

    async def reseal(self, number: int, sealed: Sealed) -> None:
        await self._connection.execute(RESEAL, number, _json(sealed))


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _stored_of(row: Any) -> Stored:
    columns = row["revision"], row["updated_at"], row["updated_by"]
    return Stored(row["key"], row["is_set"], _read(row["value"]), *columns)


def _revision_of(row: Any) -> Revision:
    return Revision(
        number=row["revision"],
        key=row["key"],
        change=Change(row["change"]),
        is_set=row["is_set"],
        value=_read(row["value"]),
        sealed=_read(row["sealed"]),
        previous=row["previous"],
        rolled_back_to=row["rolled_back_to"],
        actor=row["actor"],
        comment=row["comment"],
        created_at=row["created_at"],
        old_value=_read(row["old_value"]),
    )
