"""The SQL of chunks: a rebuild is cut into them, they are sent, and sent again after a loss.

Triggers (migration 0004) count the messages of new and of finished chunks in their operation, and end it with
the last chunk.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.embedder.bulk.rebuild import REBUILD, ChunkKey, Rebuild
from services.kernel.stored_operations import NewOperation, OperationStore

# Texts of similar length share a chunk, so that its batches need little padding. The budget of a chunk is in
# characters; each text counts as 16 more than its length, and as 1016 at most.
PLAN = """
    INSERT INTO embedder_operation_chunks (operation_id, number, message_ids)
    SELECT CAST(:operation AS uuid), chunk, array_agg(id ORDER BY length, id)
    FROM (
        SELECT id, length,
               sum(least(length, 1000) + 16) OVER (ORDER BY length, id) / CAST(:budget AS bigint) AS chunk
        FROM (
            SELECT id, length(text) AS length FROM chat_messages AS message
            WHERE role = :role AND length(text) >= :min_length AND (:force OR NOT (
                EXISTS (SELECT FROM chat_message_embeddings_1024 AS vector
                        WHERE vector.message_id = message.id AND vector.model = :model)
                OR EXISTS (SELECT FROM chat_message_embedding_errors AS error
                           WHERE error.message_id = message.id AND error.model = :model)))
        ) AS wanted
    ) AS cut
    GROUP BY chunk
"""

# A chunk that was not sent within UNSENT: its publisher died between commit and publish. A chunk that was
# sent longer than LOST ago and still waits: the broker may have lost its message.
UNSENT = dt.timedelta(seconds=10)
LOST = dt.timedelta(hours=1)


class ChunkStore:
    """Reads and writes the chunks of rebuilds, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def begin_rebuild(self, wanted: Rebuild, model: str, budget: int, actor: str) -> str:
        """Returns the id of the running operation for the rebuild. If there is none, creates it with chunks.

        `budget`: the characters of a chunk.
        """
        operations = OperationStore(self._session)
        new = NewOperation("embedder", REBUILD, wanted.work(model), actor, metadata=wanted.metadata(model))
        operation_id, begun = await operations.begin(new)
        if begun:
            plan = {"operation": operation_id, "budget": budget, "role": wanted.user_role, "model": model}
            plan |= {"min_length": wanted.min_length, "force": wanted.force_rebuild}
            await self._session.execute(text(PLAN), plan)
            await operations.end_if_empty(operation_id)
        return operation_id

    async def unsent(self, most: int) -> Sequence[ChunkKey]:
        """Returns waiting chunks of running operations whose message was not sent, or is probably lost."""
        rows = await self._session.execute(
            text(
                "SELECT chunk.operation_id, chunk.number FROM embedder_operation_chunks AS chunk"
                " JOIN celery_operations AS operation ON operation.id = chunk.operation_id"
                " WHERE operation.state = 'running' AND chunk.state = 'waiting' AND ((chunk.sent_at IS NULL"
                " AND operation.created_at < clock_timestamp() - CAST(:unsent AS interval))"
                " OR chunk.sent_at < clock_timestamp() - CAST(:lost AS interval))"
                " ORDER BY 1, 2 LIMIT :most"
            ),
            {"unsent": UNSENT, "lost": LOST, "most": most},
        )
        return [ChunkKey(str(row.operation_id), row.number) for row in rows]

    async def orphaned(self) -> Sequence[ChunkKey]:
        """Sets chunks whose worker has died back to waiting, and returns them.

        A worker holds a lock on its chunk, which is released when its connection ends.
        """
        rows = await self._session.execute(
            text(
                "UPDATE embedder_operation_chunks AS chunk SET state = 'waiting'"
                " FROM (SELECT chunk.operation_id, chunk.number FROM embedder_operation_chunks AS chunk"
                "       JOIN celery_operations AS operation ON operation.id = chunk.operation_id"
                "       WHERE operation.state = 'running' AND chunk.state = 'taken'"
                "       ORDER BY 1, 2 FOR UPDATE OF chunk SKIP LOCKED) AS taken"
                " WHERE chunk.operation_id = taken.operation_id AND chunk.number = taken.number"
                " AND pg_try_advisory_xact_lock("
                "     hashtextextended(taken.operation_id::text, taken.number))"
                " RETURNING chunk.operation_id, chunk.number"
            )
        )
        return [ChunkKey(str(row.operation_id), row.number) for row in rows]

    async def waiting(self, operation_id: str) -> Sequence[ChunkKey]:
        """Returns the chunks of an operation that were never sent."""
        rows = await self._session.execute(
            text(
                "SELECT number FROM embedder_operation_chunks WHERE operation_id = CAST(:id AS uuid)"
                " AND state = 'waiting' AND sent_at IS NULL ORDER BY number"
            ),
            {"id": operation_id},
        )
        return [ChunkKey(operation_id, row.number) for row in rows]

    async def mark_sent(self, chunks: Sequence[ChunkKey]) -> None:
        await self._session.execute(
            text(
                "UPDATE embedder_operation_chunks AS chunk SET sent_at = clock_timestamp()"
                " FROM unnest(CAST(:ids AS uuid[]), CAST(:numbers AS integer[])) AS sent (id, number)"
                " WHERE chunk.operation_id = sent.id AND chunk.number = sent.number"
            ),
            {"ids": [key.operation_id for key in chunks], "numbers": [key.number for key in chunks]},
        )
