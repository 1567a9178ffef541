"""The SQL of vectors: workers take chunks, read their texts and write vectors; the search reads vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.embedder.bulk.chunk import Embedded, Passage
from services.embedder.bulk.rebuild import ChunkKey
from services.kernel.database import Connection, is_lost

DIMENSIONS = 1024
LOCK = "hashtextextended($1::text, $2::bigint)"

TAKE = """
    UPDATE embedder_operation_chunks AS chunk SET state = 'taken', deaths = deaths + 1
    FROM celery_operations AS operation
    WHERE chunk.operation_id = $1::uuid AND chunk.number = $2 AND chunk.state <> 'done'
        AND operation.id = chunk.operation_id AND operation.state = 'running'
        AND operation.cancel_requested_at IS NULL
        AND operation.metadata ->> 'model' = 'models/' || $3::text
    RETURNING chunk.message_ids AS ids, chunk.deaths - 1 AS deaths
"""

# Writes only vectors of unchanged texts: a message may be changed or deleted while it is embedded.
UPSERT = """
    WITH current AS (
        SELECT arrived.message_id, arrived.vector FROM arrived
        JOIN chat_messages AS message
            ON message.id = arrived.message_id AND message.content_hash = arrived.content_hash
        ORDER BY message.id FOR SHARE OF message
    )
    INSERT INTO chat_message_embeddings_1024 AS stored (message_id, model, vector)
    SELECT message_id, $1, vector FROM current
    ON CONFLICT (message_id, model) DO UPDATE
        SET vector = excluded.vector, write = nextval('chat_message_embeddings_writes')
        WHERE stored.vector <> excluded.vector
"""

FORGIVE = """
    DELETE FROM chat_message_embedding_errors USING arrived
    WHERE chat_message_embedding_errors.message_id = arrived.message_id AND model = $1
"""

SET_ASIDE = """
    INSERT INTO chat_message_embedding_errors (message_id, model, error)
    SELECT message.id, $1, failed.error
    FROM unnest($2::text[], $3::bytea[], $4::text[]) AS failed (message_id, content_hash, error)
    JOIN chat_messages AS message
        ON message.id = failed.message_id AND message.content_hash = failed.content_hash
    ORDER BY message.id FOR SHARE OF message
    ON CONFLICT (message_id, model) DO UPDATE SET error = excluded.error, failed_at = now()
"""


class Taken(NamedTuple):
    """A chunk that this worker works on: its message ids, and how many workers died while they had it."""

    ids: Sequence[str]
    deaths: int


class VectorStore:
    """Reads and writes the vectors of one model, over a connection of asyncpg, as it writes them by COPY."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection = connection
        self._model = model

    @asynccontextmanager
    async def taken(self, chunk: ChunkKey) -> AsyncIterator[Taken | None]:
        """Yields the chunk, locked against other workers.

        Yields None if the chunk is done, if its operation has ended or is to be cancelled, or if another
        worker has it: the broker may deliver a message twice. The lock ends with the connection, so the
        chunk of a killed worker is free at once.
        """
        if not await self._connection.fetchval(f"SELECT pg_try_advisory_lock({LOCK})", *chunk):
            yield None
            return
        try:
            row = await self._connection.fetchrow(TAKE, *chunk, self._model)
            yield Taken(row["ids"], row["deaths"]) if row else None
        except Exception:
            # Set back to waiting, so that healing does not take it for an orphan: Celery retries this task.
            await self._give_back(chunk)
            raise
        finally:
            if not is_lost(self._connection):
                await self._connection.execute(f"SELECT pg_advisory_unlock({LOCK})", *chunk)

    async def _give_back(self, chunk: ChunkKey) -> None:
        if not is_lost(self._connection):
            await self._connection.execute(
                "UPDATE embedder_operation_chunks SET state = 'waiting', deaths = deaths - 1"
                " WHERE operation_id = $1::uuid AND number = $2 AND state = 'taken'",
                *chunk,
            )

    async def passages(self, ids: Sequence[str]) -> Sequence[Passage]:
        """Returns the texts of the messages that still exist, in the order of the ids."""
        rows = await self._connection.fetch(
            "SELECT id, content_hash, text, role FROM unnest($1::text[]) WITH ORDINALITY AS wanted (id, n)"
            " JOIN chat_messages USING (id) ORDER BY n",
            ids,
        )
        return [Passage(row["id"], row["content_hash"], row["text"], row["role"]) for row in rows]

    async def finish(self, chunk: ChunkKey, embedded: Embedded) -> None:
        """Stores vectors and errors and ends the chunk, in one transaction. A repetition changes nothing."""
        async with self._connection.transaction():
            await self._connection.execute(
                "CREATE TEMPORARY TABLE arrived (message_id text, content_hash bytea, vector bytea)"
                " ON COMMIT DROP"
            )
            await self._connection.copy_records_to_table(
                "arrived",
                schema_name="pg_temp",
                records=(
                    (passage.message_id, passage.content_hash, vector.tobytes())
                    for passage, vector in zip(embedded.passages, _wire(embedded.vectors), strict=True)
                ),
            )
            await self._connection.execute(UPSERT, self._model)
            await self._connection.execute(FORGIVE, self._model)
            await self._set_aside(embedded)
            await self._connection.execute(
                "UPDATE embedder_operation_chunks SET state = 'done', failed = $3"
                " WHERE operation_id = $1::uuid AND number = $2",
                *chunk,
                len(embedded.failed),
            )

    async def _set_aside(self, embedded: Embedded) -> None:
        await self._connection.execute(
            SET_ASIDE,
            self._model,
            [passage.message_id for passage, _ in embedded.failed],
            [passage.content_hash for passage, _ in embedded.failed],
            [error for _, error in embedded.failed],
        )


def _wire(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the vectors as little-endian float32, on any machine."""
    return np.ascontiguousarray(vectors, dtype="<f4")
