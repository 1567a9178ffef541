"""The SQL of listeners: up to when each monitor heard events, and all that it heard is written."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from services.kernel.database import Connection

NOTE = """
    INSERT INTO celery_event_listeners AS known (id, heard_until, seen_at) VALUES ($1, $2, clock_timestamp())
    ON CONFLICT (id) DO UPDATE
    SET heard_until = greatest(known.heard_until, excluded.heard_until), seen_at = excluded.seen_at
"""
# The newest stays, however old: it tells from when on nothing was heard.
FORGET = """
    DELETE FROM celery_event_listeners
    WHERE seen_at < clock_timestamp() - interval '1 day'
        AND heard_until < (SELECT max(heard_until) FROM celery_event_listeners)
"""


@dataclass(frozen=True)
class Listener:
    """`heard_until`: all that it heard until then is written. `seen_at`: when it last said so."""

    heard_until: dt.datetime
    seen_at: dt.datetime


class ListenerStore:
    """Reads and writes listeners, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> Mapping[uuid.UUID, Listener]:
        rows = await self._connection.fetch("SELECT id, heard_until, seen_at FROM celery_event_listeners")
        return {row["id"]: Listener(row["heard_until"], row["seen_at"]) for row in rows}

    async def note(self, listener: uuid.UUID, heard_until: dt.datetime) -> None:
        await self._connection.execute(NOTE, listener, heard_until)

    async def forget_old(self) -> None:
        await self._connection.execute(FORGET)
