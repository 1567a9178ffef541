"""The SQL by which a search index follows the table of vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.embedder.model.encoder import DIMENSIONS
from services.embedder.search.marks import MARK, Marks, mark
from services.kernel.database import Connection

# What the triggers of the table notify; the payload is INSERT, UPDATE or DELETE.
CHANNEL = "chat_message_embeddings"
# Writes of a page of all: 16 bytes each.
PAGE = 50_000

# All transactions below it have ended: what they wrote is seen by every statement that begins later.
UNDER_WAY = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

# Two numbers of 8 bytes for each write. As one value: rows of their own take ten times the CPU.
PACKED = "coalesce(string_agg(int8send(write) || int8send(txid), ''), ''::bytea) AS packed"
ALL = f"""
    SELECT {PACKED}, max(write) AS last FROM (
        SELECT write, coalesce(txid::text::bigint, 0) AS txid FROM chat_message_embeddings_1024
        WHERE model = $1 AND write > $2 ORDER BY write LIMIT {PAGE}
    ) AS page
"""
SINCE = f"""
    SELECT {PACKED} FROM (
        SELECT write, txid::text::bigint AS txid FROM chat_message_embeddings_1024
        WHERE model = $1 AND txid >= $2::bigint::text::xid8
    ) AS page
"""
VECTORS = """
    SELECT write, coalesce(txid::text::bigint, 0) AS txid, vector, role, conversation, created_at
    FROM chat_message_embeddings_1024 AS vector
    JOIN chat_messages AS message ON message.id = vector.message_id
    WHERE model = $1 AND write = ANY($2::bigint[])
"""

Writes = NDArray[np.int64]


class IndexStore:
    """Reads the vectors of one model, over a connection of asyncpg: they come in binary form."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection = connection
        self._model = model

    async def under_way(self) -> int:
        """Returns the transaction below which nothing can come any more."""
        found: int = await self._connection.fetchval(UNDER_WAY)
        return found

    async def all_writes(self) -> Writes:
        """Returns the number and the transaction of each stored write, by number: int64 [n, 2]."""
        pages: list[Writes] = []
        last = 0
        while True:
            row = await self._connection.fetchrow(ALL, self._model, last)
            if row is None or row["last"] is None:
                return np.concatenate(pages) if pages else np.empty((0, 2), dtype=np.int64)
            pages.append(_unpacked(row["packed"]))
            last = row["last"]

    async def writes_since(self, txid: int) -> Writes:
        """Returns those of this transaction and later ones: int64 [n, 2]."""
        return _unpacked(await self._connection.fetchval(SINCE, self._model, txid))

    async def vectors(self, writes: Writes) -> tuple[Marks, NDArray[np.float32]]:
        """Returns the vectors of the writes that still stand, float32 [n, 1024], and their marks."""
        rows = await self._connection.fetch(VECTORS, self._model, writes.tolist())
        marks = np.array(
            [
                mark(row["write"], row["txid"], row["role"], row["conversation"], row["created_at"])
                for row in rows
            ],
            dtype=MARK,
        )
        vectors = np.frombuffer(b"".join(row["vector"] for row in rows), dtype="<f4")
        return marks, vectors.reshape(-1, DIMENSIONS)


def _unpacked(packed: bytes) -> Writes:
    return np.frombuffer(packed, dtype=">i8").astype(np.int64).reshape(-1, 2)
