"""The SQL of one-time links."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from services.kernel.database import Connection

ADD = """
    INSERT INTO door_links (key_hash, subject, role, made_by, created_at, expires_at)
    VALUES ($1, $2, $3, $4, now(), now() + $5) RETURNING expires_at
"""
# Of two requests with the same key, at whatever replica, one finds it unused.
USE = """
    UPDATE door_links SET used_at = now()
    WHERE key_hash = $1 AND used_at IS NULL AND expires_at > now()
    RETURNING subject, role, made_by, extract(epoch FROM created_at)::float8 AS created_at
"""
# They are kept for some time after their end, for whoever looks into what happened.
FORGET = "DELETE FROM door_links WHERE expires_at < now() - interval '1 day'"


class Link(NamedTuple):
    """For whom a link is.

    `made_by`: the id of the token, or of the sign-in, that made it; `created_at`: seconds since 1970.
    """

    subject: str
    role: str
    made_by: str
    created_at: float


class LinkStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self, key_hash: bytes, subject: str, role: str, made_by: str, life: dt.timedelta
    ) -> dt.datetime:
        """Stores a link; returns when it ends."""
        ends: dt.datetime = await self._connection.fetchval(ADD, key_hash, subject, role, made_by, life)
        return ends

    async def use(self, key_hash: bytes) -> Link | None:
        """Uses the link up; None if there is none that can be used."""
        row = await self._connection.fetchrow(USE, key_hash)
        return None if row is None else Link(*row)

    async def forget_old(self) -> None:
        await self._connection.execute(FORGET)
