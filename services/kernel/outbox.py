"""The audit outbox: what a service did and was asked to do, until the audit service has it.

Each service keeps its own table, `audit_outbox_<service>`, in the same database as its data: if an intent
can't be written, its effect doesn't happen. `services.kernel.relay` delivers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.kernel.database import Database


def canonical(entry: Mapping[str, Any]) -> bytes:
    """The bytes that are stored, hashed and proven: JSON in UTF-8, keys sorted, no white space."""
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


class Outbox:
    """Entries of one service that wait to be delivered."""

    def __init__(self, database: Database, service: str) -> None:
        self._database = database
        self._table = f"audit_outbox_{service}"
        self.service = service
        # Wakes the relay; other replicas' entries are found by its slow tick.
        self.arrived = asyncio.Event()

    async def put(self, entry: Mapping[str, Any]) -> None:
        """Commits one entry."""
        # A transaction, because it replaces a connection that died: a call shall not fail for its record.
        async with self._database.transaction() as connection:
            await connection.execute(f"INSERT INTO {self._table} (entry) VALUES ($1)", canonical(entry))
        self.arrived.set()

    async def oldest(self, most: int) -> Sequence[tuple[int, bytes]]:
        """The entries that have waited longest, in order: (sequence, bytes)."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(f"SELECT seq, entry FROM {self._table} ORDER BY seq LIMIT $1", most)
        return [(row["seq"], row["entry"]) for row in rows]

    async def remove(self, sequences: Sequence[int]) -> None:
        """Forgets entries that were delivered."""
        async with self._database.connection() as connection:
            await connection.execute(f"DELETE FROM {self._table} WHERE seq = ANY($1::bigint[])", sequences)
