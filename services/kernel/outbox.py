"""The audit outbox: the table in which a service keeps its entries until the audit service has them.

Each service has its own, `audit_outbox_<service>`, in the same database as its data: if an intent can't be
written, the effect does not happen. `services.kernel.relay` delivers the entries.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.kernel.database import Database


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Returns the bytes that are stored, hashed and proven: JSON in UTF-8, keys sorted, no white space."""
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


class Outbox:
    """The entries of one service that wait to be delivered."""

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._table = f"audit_outbox_{service}"
        self.service = service
        # Wakes the relay of this process. Entries of other replicas wait for its next round (`outbox_look`).
        self.arrived = asyncio.Event()
        # When the oldest of the entries that waited at the last look was made, in seconds since 1970; None:
        # all were delivered.
        self.oldest_at: float | None = None

    async def put(self, entry: Mapping[str, Any]) -> None:
        """Commits one entry."""
        # In a transaction, because that replaces a dead connection: a call must not fail for its record.
        async with self._database.transaction() as connection:
            await connection.execute(f"INSERT INTO {self._table} (entry) VALUES ($1)", canonical(entry))
        self.arrived.set()

    async def oldest(self, most: int) -> Sequence[tuple[int, bytes]]:
        """Returns the entries that have waited longest, in order: (sequence, bytes)."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(f"SELECT seq, entry FROM {self._table} ORDER BY seq LIMIT $1", most)
        self.oldest_at = _time_of(rows[0]["entry"]) if rows else None
        return [(row["seq"], row["entry"]) for row in rows]

    async def oldest_time(self) -> float | None:
        """Returns when the oldest entry that waits was made, in seconds since 1970; None: none waits."""
        await self.oldest(1)
        return self.oldest_at

    async def remove(self, sequences: Sequence[int]) -> None:
        """Deletes entries that were delivered: the oldest ones."""
        async with self._database.connection() as connection:
            await connection.execute(f"DELETE FROM {self._table} WHERE seq = ANY($1::bigint[])", sequences)
        self.oldest_at = None


def _time_of(entry: bytes) -> float:
    """Returns when an entry was made, in seconds since 1970."""
    return dt.datetime.fromisoformat(orjson.loads(entry)["time"]).timestamp()
