"""The SQL of requests that begin one operation, however often they are sent."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.once import Once

# Waits for a transaction that has added the same id: then it is committed, or was rolled back.
ADD = """
    INSERT INTO embedder_requests (scope, request_id, digest) VALUES (:scope, :request_id, :digest)
    ON CONFLICT DO NOTHING RETURNING true
"""
MADE = "SELECT digest, operation_id FROM embedder_requests WHERE scope = :scope AND request_id = :request_id"
BEGAN = """
    UPDATE embedder_requests SET operation_id = CAST(:operation AS uuid)
    WHERE scope = :scope AND request_id = :request_id
"""


class RequestStore:
    """Requests and the operations that they began, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def operation_of(self, once: Once) -> str | None:
        """The operation that the request began already; None: it is the first, and is to begin one.

        Raises `Invalid` if the id was another request's.
        """
        if await self._session.scalar(text(ADD), {**_key(once), "digest": once.digest}):
            return None
        made = (await self._session.execute(text(MADE), _key(once))).one()
        if made.digest != once.digest:
            raise once.refusal()
        return str(made.operation_id)

    async def began(self, once: Once, operation_id: str) -> None:
        await self._session.execute(text(BEGAN), {**_key(once), "operation": operation_id})


def _key(once: Once) -> dict[str, str]:
    return {"scope": once.scope, "request_id": once.request_id}
