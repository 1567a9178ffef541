"""The SQL of revocations. Every service reads their table (services.kernel.revocations)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from services.kernel.database import Connection
from services.kernel.pages import Place, invalid_page_token

COLUMNS = """
    id::text, coalesce(token_id, '') AS token_id, coalesce(subject, '') AS subject, created_at, expires_at,
    actor, reason
"""
ADD = f"""
    INSERT INTO celeriac_revocations (token_id, subject, expires_at, actor, reason)
    VALUES ($1, $2, $3, $4, $5) RETURNING {COLUMNS}
"""
NEWEST = f"""
    SELECT {COLUMNS} FROM celeriac_revocations
    WHERE expires_at > now() AND ($1::timestamptz IS NULL OR (created_at, id) < ($1, $2))
    ORDER BY created_at DESC, celeriac_revocations.id DESC LIMIT $3
"""


class Revocation(NamedTuple):
    """One token that is not taken, or all of one subject issued until `created_at`; the other is empty."""

    id: str
    token_id: str
    subject: str
    created_at: dt.datetime
    expires_at: dt.datetime
    actor: str
    reason: str


class RevocationStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self, token_id: str | None, subject: str | None, expires_at: dt.datetime, actor: str, reason: str
    ) -> Revocation:
        row = await self._connection.fetchrow(ADD, token_id, subject, expires_at, actor, reason)
        assert row is not None
        return Revocation(*row)

    async def newest(self, after: Place | None, most: int) -> Sequence[Revocation]:
        """Returns those that are in force, the newest first. Raises `Invalid` for a place of another list."""
        moment, identity = after if after is not None else (None, str(uuid.UUID(int=0)))
        try:
            place = uuid.UUID(identity)
        except ValueError:
            raise invalid_page_token() from None
        return [Revocation(*row) for row in await self._connection.fetch(NEWEST, moment, place, most)]

    async def forget_expired(self) -> None:
        await self._connection.execute("DELETE FROM celeriac_revocations WHERE expires_at <= now()")
