"""The revocations in force, followed from the database: of tokens that are not taken any more.

A notification tells of a new one, so that it is in force within a second; the table is also read again every
few seconds. While the database is away, those that are known stay in force.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from services.kernel.database import Connection, Database
from services.kernel.endings import to_the_end
from services.kernel.identity import Identity
from services.kernel.loops import Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

CHANNEL = "celeriac_revocations"
IN_FORCE = """
    SELECT token_id, subject, extract(epoch FROM max(created_at))::float8 AS at
    FROM celeriac_revocations WHERE expires_at > now() GROUP BY token_id, subject
"""
REVOKE_TOKEN = """
    INSERT INTO celeriac_revocations (token_id, expires_at, actor, reason) VALUES ($1, $2, $3, $4)
"""


async def revoke_token(
    connection: Connection, token_id: str, expires_at: dt.datetime, actor: str, reason: str
) -> None:
    """Revokes one token, or all of one sign-in by the id of that. Every process is told at once.

    After `expires_at` none of them is taken anyway.
    """
    await connection.execute(REVOKE_TOKEN, token_id, expires_at, actor, reason)


class Revocations:
    """Which tokens are revoked. `run` follows the table."""

    def __init__(self, database: Database, pace: Pace = USUAL) -> None:
        self._database = database
        self._tokens: frozenset[str] = frozenset()
        # Until when tokens of a subject were issued that are revoked, in seconds since 1970.
        self._subjects: Mapping[str, float] = {}
        self._callbacks: set[Callable[[], None]] = set()
        self._woken, self._known = asyncio.Event(), asyncio.Event()
        self.loop = Loop(
            "revocations",
            self.read,
            every=pace.revocations_look,
            outlives=DATABASE_ERRORS,
            failed="revocations.not_read",
            woken=self._woken,
        )

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return self.loop.heartbeats

    def has(self, identity: Identity) -> bool:
        """Whether the token that proved this identity is revoked, or the sign-in that it is one of."""
        if identity.token_id in self._tokens or identity.session_id in self._tokens:
            return True
        until = self._subjects.get(identity.subject)
        # Tokens state whole seconds: one of the very second in which its subject was revoked is revoked.
        return until is not None and bool(identity.token_id) and identity.issued_at <= until

    @contextmanager
    def told(self, callback: Callable[[], None]) -> Iterator[None]:
        """Has `callback` called after each change."""
        self._callbacks.add(callback)
        try:
            yield
        finally:
            self._callbacks.discard(callback)

    async def run(self) -> None:
        async with self._database.listening(CHANNEL) as notices:
            # From here on no revocation goes unnoticed: the table is read once, not before this and again.
            await anext(notices)
            async with asyncio.TaskGroup() as group:
                group.create_task(to_the_end(self.loop.run()))
                async for _ in notices:
                    self._woken.set()

    async def known(self) -> None:
        """Waits until `run` has read the table. A process serves no call before."""
        await self._known.wait()

    async def read(self) -> None:
        """Reads the table."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(IN_FORCE)
        tokens = frozenset(row["token_id"] for row in rows if row["token_id"] is not None)
        subjects = {row["subject"]: row["at"] for row in rows if row["subject"] is not None}
        if (tokens, subjects) != (self._tokens, self._subjects):
            self._tokens, self._subjects = tokens, subjects
            log.info("revocations.in_force", tokens=len(tokens), subjects=len(subjects))
            for callback in list(self._callbacks):
                callback()
        self._known.set()
