"""The SQL of requests with an id: each begins one operation, even if it is sent several times."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.once import Once

# If another transaction has added the same id, this waits until it is committed or rolled back.
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
        """Returns the operation that the request began earlier; None if the request is new.

        A new request is stored; call `began` in the same transaction. Raises `Invalid` if another request
        had the same id.
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
