"""The SQL of analyses as operations."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.embedder.insights.clusters import Way
from services.embedder.store_requests import RequestStore
from services.kernel.once import Once
from services.kernel.stored_operations import NewOperation, OperationStore

KIND = "precompute_question_classifications"
# There is one set of groups, so one analysis runs at a time, whatever it is asked for.
WORK = "questions"

# One unit at least: an analysis of no questions deletes the groups before.
TOTAL = """
    UPDATE celery_operations SET total = greatest(1, (
        SELECT count(*) FROM chat_message_embeddings_1024
        JOIN chat_messages ON message_id = chat_messages.id
        WHERE model = :model AND role = 'user'))
    WHERE id = :id
"""
WANTED = """
    SELECT metadata ->> 'way' AS way, CAST(metadata ->> 'clusters' AS integer) AS clusters
    FROM celery_operations
    WHERE id = :id AND kind = :kind AND state = 'running' AND cancel_requested_at IS NULL
        AND metadata ->> 'model' = :model
"""
RUNNING = "SELECT total FROM celery_operations WHERE id = :id AND state = 'running' FOR UPDATE"
# A worker holds the lock while it analyses.
LOST = """
    SELECT id FROM celery_operations
    WHERE owner = 'embedder' AND kind = :kind AND state = 'running' AND metadata ->> 'model' = :model
        AND created_at < clock_timestamp() - interval '30 s'
        AND pg_try_advisory_xact_lock(hashtextextended('question_analysis', 0))
"""


@dataclass(frozen=True)
class Wanted:
    """How questions are to be grouped. `clusters`: how many, for k-means; 0: found by itself."""

    way: Way = Way.COMMUNITIES
    clusters: int = 0


class AnalysisOperations:
    """The operations of analyses with one model, in one session."""

    def __init__(self, session: AsyncSession, model: str) -> None:
        self._session = session
        self._model = model

    async def begin(self, wanted: Wanted, actor: str, once: Once | None = None) -> tuple[str, bool]:
        """Returns the id of the running operation, and whether this call began it."""
        requests = RequestStore(self._session)
        if once and (begun := await requests.operation_of(once)):
            return begun, False
        metadata = {"way": wanted.way.value, "clusters": wanted.clusters, "model": f"models/{self._model}"}
        new = NewOperation("embedder", KIND, WORK, actor, metadata=metadata)
        operation, fresh = await OperationStore(self._session).begin(new)
        if fresh:
            await self._session.execute(text(TOTAL), {"id": uuid.UUID(operation), "model": self._model})
        if once:
            await requests.began(once, operation)
        return operation, fresh

    async def wanted(self, operation: str) -> Wanted | None:
        """Returns what a running operation of this model asks for; else None."""
        values = {"id": uuid.UUID(operation), "kind": KIND, "model": f"models/{self._model}"}
        row = (await self._session.execute(text(WANTED), values)).one_or_none()
        return Wanted(Way(row.way), row.clusters) if row else None

    async def end(self, operation: str) -> bool:
        """Ends the operation as done, if it still runs. Returns whether it did."""
        identity = {"id": uuid.UUID(operation)}
        total = await self._session.scalar(text(RUNNING), identity)
        if total is None:
            return False
        advance = text("SELECT celery_operation_advance(:id, :total, 0)")
        await self._session.execute(advance, identity | {"total": total})
        return True

    async def fail(self, operation: str, error: BaseException) -> None:
        """Ends the operation as one that will not be done: another try would fail as well."""
        note = f"the analysis failed: {type(error).__name__}"
        values = {"id": uuid.UUID(operation), "note": note}
        await self._session.execute(text("SELECT celery_operation_cancel(:id, :note)"), values)

    async def lost(self) -> list[str]:
        """Returns the running operation if it is no longer new, and no worker has it."""
        values = {"kind": KIND, "model": f"models/{self._model}"}
        return [str(row.id) for row in await self._session.execute(text(LOST), values)]
