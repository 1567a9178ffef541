"""The SQL of operations and their chunks."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import RowMapping, Select, Text, bindparam, cast, func, select, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.embedder.bulk.operations import REBUILD, ChunkKey, Operation, OperationState, Rebuild
from services.embedder.tables import chunks, operations
from services.kernel.errors import NotFound

MESSAGES = func.sum(func.cardinality(chunks.c.message_ids))
COUNTS = (
    select(
        func.coalesce(MESSAGES, 0).label("total"),
        func.coalesce(MESSAGES.filter(chunks.c.state == "done"), 0).label("done"),
        func.coalesce(func.sum(chunks.c.failed), 0).label("failed"),
    )
    .where(chunks.c.operation_id == operations.c.id)
    .lateral("counts")
)
c = operations.c
OPERATIONS = select(
    *(c.id, c.kind, c.state, c.created_at, c.ended_at),
    *(COUNTS.c.total, COUNTS.c.done, COUNTS.c.failed),
    func.clock_timestamp().label("counted_at"),
).join_from(operations, COUNTS, true())
NEWEST_FIRST = OPERATIONS.order_by(c.created_at.desc(), c.id.desc())
# Compared as text, so that an id that is not a UUID is simply not found.
OPERATION = OPERATIONS.where(cast(c.id, Text) == bindparam("id"))


def listing(before: tuple[dt.datetime, str] | None, most: int) -> Select[Any]:
    """Returns the query for operations before (created, id), newest first."""
    query = NEWEST_FIRST.limit(most)
    if before is None:
        return query
    return query.where(tuple_(c.created_at, c.id) < (before[0], uuid.UUID(before[1])))


# Texts of similar length share a chunk, so that its batches need little padding. The budget of a chunk is in
# characters; each text counts as 16 more than its length, and as 1016 at most.
PLAN = """
    INSERT INTO embedder_operation_chunks (operation_id, number, message_ids)
    SELECT :operation, chunk, array_agg(id ORDER BY length, id)
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


class OperationStore:
    """Reads and writes operations and their chunks, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def now(self) -> dt.datetime:
        """Returns the time of the database's clock, which all replicas go by."""
        moment: dt.datetime = await self._session.scalar(text("SELECT clock_timestamp()"))
        return moment

    async def begin_rebuild(self, wanted: Rebuild, model: str, budget: int) -> str:
        """Returns the id of the running operation for the request. If there is none, creates it with chunks.

        `budget`: the characters of a chunk.
        """
        values = {"kind": REBUILD, "arguments": orjson.dumps(asdict(wanted)).decode(), "model": model}
        created = await self._session.scalar(
            text(
                "INSERT INTO embedder_operations (kind, arguments, model)"
                " VALUES (:kind, CAST(:arguments AS jsonb), :model) ON CONFLICT DO NOTHING RETURNING id"
            ),
            values,
        )
        if created is None:
            running = await self._session.scalar(
                text(
                    "SELECT id FROM embedder_operations WHERE kind = :kind AND state = 'running'"
                    " AND arguments = CAST(:arguments AS jsonb) AND model = :model"
                ),
                values,
            )
            # The operation may have ended between the two statements; then a new one is created.
            return str(running) if running else await self.begin_rebuild(wanted, model, budget)
        plan = {"operation": created, "budget": budget, "role": wanted.user_role, "model": model}
        plan |= {"min_length": wanted.min_length, "force": wanted.force_rebuild}
        await self._session.execute(text(PLAN), plan)
        await self.end_if_done(str(created))
        return str(created)

    async def end_if_done(self, operation_id: str) -> None:
        """Ends a running operation that has no open chunks.

        It is locked first: if its last two chunks end at the same time, one of them sees that both ended.
        """
        values = {"id": operation_id}
        await self._session.execute(
            text("SELECT FROM embedder_operations WHERE id = CAST(:id AS uuid) FOR UPDATE"), values
        )
        await self._session.execute(
            text(
                "UPDATE embedder_operations SET state = 'done', ended_at = clock_timestamp()"
                " WHERE id = CAST(:id AS uuid) AND state = 'running' AND NOT EXISTS (SELECT"
                " FROM embedder_operation_chunks WHERE operation_id = CAST(:id AS uuid) AND state <> 'done')"
            ),
            values,
        )

    async def complete(self) -> Sequence[str]:
        """Returns running operations without open chunks: the last worker died before it ended them."""
        rows = await self._session.execute(
            text(
                "SELECT id FROM embedder_operations AS operation WHERE state = 'running' AND NOT EXISTS"
                " (SELECT FROM embedder_operation_chunks WHERE operation_id = operation.id"
                "  AND state <> 'done')"
            )
        )
        return [str(row.id) for row in rows]

    async def get(self, operation_id: str) -> Operation:
        row = (await self._session.execute(OPERATION, {"id": operation_id})).mappings().one_or_none()
        if row is None:
            raise NotFound("operation", f"operations/{operation_id}")
        return _operation_of(row)

    async def list(self, before: tuple[dt.datetime, str] | None, most: int) -> Sequence[Operation]:
        """Returns operations before (created, id), newest first."""
        rows = await self._session.execute(listing(before, most))
        return [_operation_of(row) for row in rows.mappings()]

    async def cancel(self, operation_id: str) -> Operation:
        await self._session.execute(
            text(
                "UPDATE embedder_operations SET state = 'cancelled', ended_at = clock_timestamp()"
                " WHERE id::text = :id AND state = 'running'"
            ),
            {"id": operation_id},
        )
        return await self.get(operation_id)

    async def unsent(self, most: int) -> Sequence[ChunkKey]:
        """Returns waiting chunks of running operations whose message was not sent, or is probably lost."""
        rows = await self._session.execute(
            text(
                "SELECT chunk.operation_id, chunk.number FROM embedder_operation_chunks AS chunk"
                " JOIN embedder_operations AS operation ON operation.id = chunk.operation_id"
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
                "       JOIN embedder_operations AS operation ON operation.id = chunk.operation_id"
                "       WHERE operation.state = 'running' AND chunk.state = 'taken'"
                "       ORDER BY 1, 2 FOR UPDATE OF chunk SKIP LOCKED) AS taken"
                " WHERE chunk.operation_id = taken.operation_id AND chunk.number = taken.number"
                " AND pg_try_advisory_xact_lock("
                "     hashtextextended(taken.operation_id::text, taken.number))"
                " RETURNING chunk.operation_id, chunk.number"
            )
        )
        return [ChunkKey(str(row.operation_id), row.number) for row in rows]

    async def forget_ended(self, older: dt.timedelta) -> int:
        """Deletes operations that ended longer ago than `older`. Returns how many it deleted."""
        deleted: Any = await self._session.execute(
            text("DELETE FROM embedder_operations WHERE ended_at < now() - CAST(:older AS interval)"),
            {"older": older},
        )
        return int(deleted.rowcount)

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


def _operation_of(row: RowMapping) -> Operation:
    return Operation(
        id=str(row["id"]),
        kind=row["kind"],
        state=OperationState(row["state"]),
        total=int(row["total"]),
        done=int(row["done"]),
        failed=int(row["failed"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        counted_at=row["counted_at"],
    )
