"""The SQL of requests with an id, which have their effect only once."""

from __future__ import annotations

import datetime as dt

from services.kernel.once import Once
from services.scheduler.schedule.store_base import Store

# If another transaction has added the same id, this waits until it is committed or rolled back.
ADD = """
    INSERT INTO celery_schedule_requests (scope, request_id, digest) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING true
"""
ANSWER = "SELECT answer FROM celery_schedule_requests WHERE scope = $1 AND request_id = $2"
KEEP = "UPDATE celery_schedule_requests SET answer = $3 WHERE scope = $1 AND request_id = $2"
DIGEST = "SELECT digest FROM celery_schedule_requests WHERE scope = $1 AND request_id = $2"
MADE = """
    SELECT created_at FROM celery_schedule_requests
    WHERE scope = $1 AND request_id = $2 AND created_at >= now() - $3::interval
"""
FORGET = """
    DELETE FROM celery_schedule_requests WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM celery_schedule_requests WHERE created_at < now() - $1::interval
        ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED))
"""
REMEMBERED = dt.timedelta(days=1)


class RequestStore(Store):
    """Requests that have had their effect. A request whose transaction is rolled back is not stored."""

    async def is_first(self, once: Once | None) -> bool:
        """Returns whether the request must still have its effect, and records it in this transaction.

        Returns True for a request without an id. Raises `Invalid` if another request had the same id. Also
        deletes some requests that are older than a day.
        """
        if once is None:
            return True
        await self._connection.execute(FORGET, REMEMBERED)
        if await self._connection.fetchval(ADD, once.scope, once.request_id, once.digest):
            return True
        await self.check(once)
        return False

    async def answer_to(self, once: Once | None) -> bytes | None:
        """Returns the answer to an earlier request with this id. Records a first one, and returns None.

        Raises `Invalid` if another request had the same id.
        """
        if once is None or await self.is_first(once):
            return None
        answer: bytes = await self._connection.fetchval(ANSWER, once.scope, once.request_id)
        return answer

    async def keep_answer(self, once: Once | None, answer: bytes) -> None:
        """Keeps the answer to a request that `answer_to` recorded."""
        if once is not None:
            await self._connection.execute(KEEP, once.scope, once.request_id, answer)

    async def made_at(self, once: Once) -> dt.datetime | None:
        """Returns when the request had its effect; None if it had none, or that was more than a day ago.

        Raises `Invalid` if another request had the same id.
        """
        await self.check(once)
        made: dt.datetime | None = await self._connection.fetchval(
            MADE, once.scope, once.request_id, REMEMBERED
        )
        return made

    async def check(self, once: Once | None) -> None:
        """Raises `Invalid` if another request had the same id."""
        if once is not None:
            once.check(await self._connection.fetchval(DIGEST, once.scope, once.request_id))
