"""The SQL of tasks that the monitor sends: retries of other tasks, and tasks that somebody runs by name.

A row is written before its message is sent, with the id that the task gets. So a message whose sending was
interrupted is sent again under the same id, and the broker takes it once (sender.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from services.kernel.database import Connection
from services.kernel.errors import Unavailable
from services.kernel.once import Once

TRIES = 3
# The unique index on `retry_of` lets one retry of a task in; one that could not be sent makes room.
ADD = """
    INSERT INTO celery_sent_tasks (task_id, retry_of, actor, request_id, request_digest)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
"""
COLUMNS = "task_id, retry_of, state, source, request_id, request_digest"
RETRY_OF = f"SELECT {COLUMNS} FROM celery_sent_tasks WHERE retry_of = $1 AND state <> 'failed'"
RUN_BY = f"""
    SELECT {COLUMNS} FROM celery_sent_tasks WHERE retry_of IS NULL AND request_id = $1 AND state <> 'failed'
"""
SENT = "UPDATE celery_sent_tasks SET state = 'sent', source = $2, ended_at = now() WHERE task_id = $1"
FAILED = """
    UPDATE celery_sent_tasks SET state = 'failed', note = left($2, 500), ended_at = now() WHERE task_id = $1
"""
KIN = """
    SELECT
        (SELECT retry_of FROM celery_sent_tasks WHERE task_id = $1 AND state = 'sent') AS retry_of,
        (SELECT task_id FROM celery_sent_tasks WHERE retry_of = $1 AND state = 'sent') AS retried_as
"""
RETRIED = "SELECT retry_of FROM celery_sent_tasks WHERE retry_of = ANY($1::text[]) AND state <> 'failed'"
# What is older than this is forgotten. Requests are known for as long.
FORGET = """
    DELETE FROM celery_sent_tasks WHERE task_id = ANY (ARRAY(
        SELECT task_id FROM celery_sent_tasks WHERE created_at < now() - interval '30 days'
        ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True)
class SentTask:
    """A task that the monitor sends.

    `state`: "waiting" until it is sent; `source`: where a retry's arguments came from.
    """

    task_id: str
    retry_of: str | None
    state: str
    source: str | None
    request_id: str | None
    digest: bytes | None

    @property
    def is_sent(self) -> bool:
        return self.state == "sent"


@dataclass(frozen=True)
class Kin:
    """The task that a task is a retry of, and its own retry; empty: there is none."""

    retry_of: str = ""
    retried_as: str = ""


NO_KIN = Kin()


class SentStore:
    """Reads and writes on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, task_id: str, retry_of: str | None, actor: str, once: Once | None) -> SentTask | None:
        """Records a task that is to be sent. Returns the one that stands in its place, if there is one.

        That is another retry of the same task, or what the same request has made before. Also forgets some
        that are old.
        """
        await self._connection.execute(FORGET)
        request = (once.request_id, once.digest) if once else (None, None)
        for _ in range(TRIES):
            if await self._connection.fetchval(ADD, task_id, retry_of, actor, *request):
                return None
            other = await (self.run_by(once) if retry_of is None else self.retry_of(retry_of))
            if other is not None:
                return other
            # The other one has turned out to be impossible in between, which makes room for this one.
        raise Unavailable("the record of the task to send")

    async def retry_of(self, task_id: str) -> SentTask | None:
        return _sent(await self._connection.fetchrow(RETRY_OF, task_id))

    async def run_by(self, once: Once | None) -> SentTask | None:
        """Returns the task that this request has run before."""
        return None if once is None else _sent(await self._connection.fetchrow(RUN_BY, once.request_id))

    async def sent(self, task_id: str, source: str | None = None) -> None:
        await self._connection.execute(SENT, task_id, source)

    async def failed(self, task_id: str, note: str) -> None:
        await self._connection.execute(FAILED, task_id, note)

    async def kin(self, task_id: str) -> Kin:
        row = await self._connection.fetchrow(KIN, task_id)
        assert row is not None
        return Kin(row["retry_of"] or "", row["retried_as"] or "")

    async def retried(self, task_ids: Sequence[str]) -> set[str]:
        """Returns those of the tasks that were retried, or are to be."""
        return {row["retry_of"] for row in await self._connection.fetch(RETRIED, task_ids)}


def _sent(row: asyncpg.Record | None) -> SentTask | None:
    return None if row is None else SentTask(*row)
