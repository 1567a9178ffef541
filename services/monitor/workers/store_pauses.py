"""The SQL of paused queues."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from services.kernel.database import Connection

# An older pause stays.
PAUSE = """
    INSERT INTO celery_paused_queues (queue, paused_at, subject, reason) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""
RESUME = "DELETE FROM celery_paused_queues WHERE queue = $1 RETURNING queue"
ALL = "SELECT queue, paused_at, subject, reason FROM celery_paused_queues"


@dataclass(frozen=True)
class Pause:
    """A paused queue: since when, who paused it, and why."""

    queue: str
    at: dt.datetime
    subject: str
    reason: str


class PauseStore:
    """Reads and writes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def pause(self, pause: Pause) -> Pause:
        """Keeps the pause; returns the one that holds, which is an older one if there was one."""
        await self._connection.execute(PAUSE, pause.queue, pause.at, pause.subject, pause.reason)
        return (await self.all())[pause.queue]

    async def resume(self, queue: str) -> bool:
        """Ends the pause; returns whether there was one."""
        return await self._connection.fetchval(RESUME, queue) is not None

    async def all(self) -> Mapping[str, Pause]:
        """Returns the pauses by queue."""
        rows = await self._connection.fetch(ALL)
        return {row["queue"]: Pause(*row) for row in rows}
