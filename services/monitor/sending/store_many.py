"""The SQL of operations that retry many tasks. Triggers count what is sent (migration 0014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.kernel.database import Connection
from services.kernel.once import Once

BEGIN = """
    INSERT INTO celery_operations (owner, kind, metadata, actor, total)
    VALUES ('monitor', 'retry_tasks', $1::jsonb, $2, $3) RETURNING id::text
"""
# In the order of the ids, which is that in which they are sent. Another request may have retried some.
ADD = """
    INSERT INTO celery_sent_tasks (task_id, retry_of, actor, operation_id)
    SELECT gen_random_uuid()::text, id, $2, $3::text::uuid
    FROM unnest($1::text[]) WITH ORDINALITY AS task (id, place)
    ORDER BY place ON CONFLICT DO NOTHING
"""
TOTAL = "UPDATE celery_operations SET total = $2 WHERE id = $1::text::uuid"
DROP = "DELETE FROM celery_operations WHERE id = $1::text::uuid"
RUNNING = """
    SELECT id::text, (metadata->>'rate')::float8, coalesce(metadata->>'fallback_queue', ''),
        coalesce(metadata->>'request_id', '')
    FROM celery_operations
    WHERE owner = 'monitor' AND kind = 'retry_tasks' AND state = 'running' AND cancel_requested_at IS NULL
    ORDER BY created_at
"""
WAITING = """
    SELECT task_id, retry_of FROM celery_sent_tasks
    WHERE operation_id = $1::text::uuid AND state = 'waiting' ORDER BY created_at LIMIT $2
"""
# So that what was not sent may be retried by another request.
DROP_CANCELLED = """
    DELETE FROM celery_sent_tasks AS task USING celery_operations AS operation
    WHERE operation.id = task.operation_id AND operation.state = 'cancelled' AND task.state = 'waiting'
"""


FORGET_REQUESTS = "DELETE FROM celery_retry_requests WHERE created_at < now() - interval '30 days'"
# If another transaction has added the same id, this waits until it is committed or rolled back.
ADD_REQUEST = """
    INSERT INTO celery_retry_requests (request_id, digest) VALUES ($1, $2)
    ON CONFLICT DO NOTHING RETURNING true
"""
REQUEST = "SELECT digest, answer FROM celery_retry_requests WHERE request_id = $1"
KEEP_ANSWER = "UPDATE celery_retry_requests SET answer = $2 WHERE request_id = $1"


@dataclass(frozen=True)
class Waiting:
    """A retry that is to be sent: the id that it gets, and the task that it retries."""

    task_id: str
    retry_of: str


@dataclass(frozen=True)
class Running:
    """An operation that goes on: its rate, the queue for tasks of which none is known, who asked for it.

    `request_id`: of the call that began it; empty if it is not known.
    """

    operation: str
    rate: float
    fallback_queue: str
    request_id: str = ""


class ManyStore:
    """Reads and writes on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, task_ids: Sequence[str], actor: str, metadata: Mapping[str, Any]) -> str:
        """Begins an operation for those of the tasks that nobody has retried.

        Returns its id; empty if there is nothing to retry.
        """
        text = orjson.dumps(dict(metadata)).decode()
        operation: str = await self._connection.fetchval(BEGIN, text, actor, len(task_ids))
        done = await self._connection.execute(ADD, task_ids, actor, operation)
        added = int(done.rpartition(" ")[2])
        if not added:
            await self._connection.execute(DROP, operation)
            return ""
        await self._connection.execute(TOTAL, operation, added)
        return operation

    async def answer_to(self, once: Once | None) -> bytes | None:
        """Returns the answer to an earlier request with this id.

        Raises `Invalid` if that was another request.
        """
        row = None if once is None else await self._connection.fetchrow(REQUEST, once.request_id)
        if row is None or once is None:
            return None
        once.check(row["digest"])
        answer: bytes = row["answer"]
        return answer

    async def is_first(self, once: Once | None) -> bool:
        """Records the request. Returns whether it must still have its effect. Also forgets old ones."""
        if once is None:
            return True
        await self._connection.execute(FORGET_REQUESTS)
        return bool(await self._connection.fetchval(ADD_REQUEST, once.request_id, once.digest))

    async def keep_answer(self, once: Once | None, answer: bytes) -> None:
        if once is not None:
            await self._connection.execute(KEEP_ANSWER, once.request_id, answer)

    async def running(self) -> list[Running]:
        """Returns the operations that go on."""
        return [Running(*row) for row in await self._connection.fetch(RUNNING)]

    async def waiting(self, operation: str, most: int) -> list[Waiting]:
        return [Waiting(*row) for row in await self._connection.fetch(WAITING, operation, most)]

    async def drop_cancelled(self) -> None:
        await self._connection.execute(DROP_CANCELLED)
