"""The SQL that recalls, at the start, the queues of tasks that have not ended.

Only the task-sent event names the queue, and a monitor that was started since then has not heard it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from services.kernel.database import Connection
from services.monitor.tasks.table import Sent
from services.monitor.tasks.tasks import ENDED, TaskState

AT_ONCE = 2_000
UNENDED = [state.value for state in TaskState if state not in ENDED]
# The newest, and of those the oldest first: in that order they are dropped when there are too many.
RECALL = """
    SELECT * FROM (
        SELECT id, queue, task, heard_at,
            CASE WHEN sent_at IS NULL THEN -1 ELSE coalesce(retries, 0) END AS retries
        FROM celery_task_results_ext WHERE state = ANY($1::text[]) AND queue <> ''
        ORDER BY heard_at DESC LIMIT $2
    ) AS newest ORDER BY heard_at
"""


async def recalled(connection: Connection, most: int) -> AsyncIterator[Sequence[tuple[str, Sent]]]:
    """Yields the newest `most` tasks that have not ended and have a queue, some at once.

    The connection must be in a transaction.
    """
    cursor = await connection.cursor(RECALL, UNENDED, most)
    while rows := await cursor.fetch(AT_ONCE):
        yield [(row["id"], Sent(row["queue"], row["task"] or "", row["retries"])) for row in rows]
