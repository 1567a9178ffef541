"""The SQL of the live configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.scheduler.config import Change, Revision, Stored
from services.scheduler.encryption import Sealed

CHANNEL = "celery_system_config"
REVISION = """
    SELECT r.*, o.value AS old_value
    FROM celery_system_config_revisions r
    LEFT JOIN celery_system_config_revisions o ON o.revision = r.previous
"""
ADD_REVISION = """
    INSERT INTO celery_system_config_revisions (
        revision, key, change, is_set, value, sealed, previous, rolled_back_to, actor, comment, request_id)
    VALUES (
        :revision, :key, :change, :is_set, CAST(:value AS jsonb), CAST(:sealed AS jsonb), :previous,
        :rolled_back_to, :actor, :comment, :request_id)
"""
IN_FORCE = """
    INSERT INTO celery_system_config (key, is_set, value, revision, updated_by)
    VALUES (:key, :is_set, CAST(:value AS jsonb), :revision, :actor)
    ON CONFLICT (key) DO UPDATE
    SET is_set = excluded.is_set, value = excluded.value, revision = excluded.revision,
        updated_by = excluded.updated_by, updated_at = now()
"""


class ConfigStore:
    """The live configuration, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self) -> None:
        """Until the transaction ends: so revisions become visible in the order of their numbers."""
        await self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('celery_system_config_revisions'))")
        )

    async def find(self, key: str) -> Stored | None:
        rows = await self._session.execute(
            text("SELECT * FROM celery_system_config WHERE key = :key"), {"key": key}
        )
        row = rows.one_or_none()
        return None if row is None else _stored_of(row)

    async def all(self) -> Sequence[Stored]:
        return list(map(_stored_of, await self._session.execute(text("SELECT * FROM celery_system_config"))))

    async def changed_after(self, revision: int) -> Sequence[Stored]:
        rows = await self._session.execute(
            text("SELECT * FROM celery_system_config WHERE revision > :revision ORDER BY revision"),
            {"revision": revision},
        )
        return list(map(_stored_of, rows))

    async def newest_revision(self) -> int:
        """0 before the first."""
        newest: int = await self._session.scalar(
            text("SELECT coalesce(max(revision), 0) FROM celery_system_config_revisions")
        )
        return newest

    async def revision(self, key: str, number: int) -> Revision | None:
        rows = await self._session.execute(
            text(f"{REVISION} WHERE r.revision = :number AND r.key = :key"), {"number": number, "key": key}
        )
        row = rows.one_or_none()
        return None if row is None else _revision_of(row)

    async def revisions(self, key: str, before: int | None, most: int) -> Sequence[Revision]:
        """Newest first; of all keys when `key` is empty."""
        conditions = ["true"]
        if key:
            conditions.append("r.key = :key")
        if before is not None:
            conditions.append("r.revision < :before")
        rows = await self._session.execute(
            text(f"{REVISION} WHERE {' AND '.join(conditions)} ORDER BY r.revision DESC LIMIT :most"),
            {"most": most} | ({"key": key} if key else {}) | ({"before": before} if before else {}),
        )
        return list(map(_revision_of, rows))

    async def made_by(self, key: str, request_id: str) -> bool:
        """Whether the request has made its revision already."""
        found = await self._session.scalar(
            text(
                "SELECT true FROM celery_system_config_revisions"
                " WHERE key = :key AND request_id = :request_id"
            ),
            {"key": key, "request_id": request_id},
        )
        return bool(found)

    async def next_revision(self) -> int:
        number: int = await self._session.scalar(text("SELECT nextval('celery_system_config_revision')"))
        return number

    async def write(self, revision: Revision, request_id: str | None) -> None:
        """Adds the revision, puts it in force, and tells those who listen once it is committed."""
        values = {
            "revision": revision.number,
            "key": revision.key,
            "change": revision.change.value,
            "is_set": revision.is_set,
            "value": None if revision.value is None else orjson.dumps(revision.value).decode(),
            "sealed": None if revision.sealed is None else orjson.dumps(revision.sealed).decode(),
            "previous": revision.previous,
            "rolled_back_to": revision.rolled_back_to,
            "actor": revision.actor,
            "comment": revision.comment,
            "request_id": request_id,
        }
        await self._session.execute(text(ADD_REVISION), values)
        in_force = {name: values[name] for name in ("key", "is_set", "value", "revision", "actor")}
        await self._session.execute(text(IN_FORCE), in_force)
        await self._session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))

    async def sealed_otherwise(self, key_id: str) -> Sequence[Revision]:
        """Those whose data key is not wrapped by this key."""
        rows = await self._session.execute(
            text(f"{REVISION} WHERE r.sealed ->> 'key' <> :key_id ORDER BY r.revision"), {"key_id": key_id}
        )
        return list(map(_revision_of, rows))

    async def reseal(self, number: int, sealed: Sealed) -> None:
        await self._session.execute(
            text(
                "UPDATE celery_system_config_revisions SET sealed = CAST(:sealed AS jsonb)"
                " WHERE revision = :number"
            ),
            {"number": number, "sealed": orjson.dumps(sealed).decode()},
        )


def _stored_of(row: Any) -> Stored:
    return Stored(row.key, row.is_set, row.value, row.revision, row.updated_at, row.updated_by)


def _revision_of(row: Any) -> Revision:
    return Revision(
        number=row.revision,
        key=row.key,
        change=Change(row.change),
        is_set=row.is_set,
        value=row.value,
        sealed=row.sealed,
        previous=row.previous,
        rolled_back_to=row.rolled_back_to,
        actor=row.actor,
        comment=row.comment,
        created_at=row.created_at,
        old_value=row.old_value,
    )
