"""The SQL of second factors."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from services.kernel.database import Connection

ENROL = """
    INSERT INTO door_factors (subject, secret, enrolled_at) VALUES ($1, $2, now())
    ON CONFLICT (subject) DO UPDATE
    SET secret = $2, enrolled_at = now(), used_step = 0, failures = 0, locked_until = NULL
"""
# Attempts for one person come one after another, at whatever replicas.
HELD = """
    SELECT secret, used_step, failures, greatest(extract(epoch FROM locked_until - now()), 0)::float8
    FROM door_factors WHERE subject = $1 FOR UPDATE
"""
TAKEN = "UPDATE door_factors SET used_step = $2, failures = 0, locked_until = NULL WHERE subject = $1"
REFUSED = "UPDATE door_factors SET failures = $2, locked_until = now() + $3 WHERE subject = $1"


class Factor(NamedTuple):
    """`secret` is sealed; `locked` is for how many seconds no code is taken."""

    secret: str
    used_step: int
    failures: int
    locked: float | None


class FactorStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enrol(self, subject: str, sealed: str) -> None:
        """Stores a person's sealed secret, in place of an earlier one."""
        await self._connection.execute(ENROL, subject, sealed)

    async def hold(self, subject: str) -> Factor | None:
        """Returns the person's factor, and holds it until the transaction ends."""
        row = await self._connection.fetchrow(HELD, subject)
        return None if row is None else Factor(*row)

    async def taken(self, subject: str, step: int) -> None:
        await self._connection.execute(TAKEN, subject, step)

    async def refused(self, subject: str, failures: int, locked: dt.timedelta | None) -> None:
        await self._connection.execute(REFUSED, subject, failures, locked)
