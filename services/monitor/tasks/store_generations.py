"""The SQL of generations of tasks: closed, measured, and dropped whole (migration 0011).

A closed generation is a table that inherits from `celery_task_results_ext`, where everything is written. It
keeps its rows as they are: one of which something is heard is moved to the table that is written first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel.database import Connection

# Whoever waits for the table's lock holds up all who read and write. So it gives up soon, and tries later.
PATIENCE = "SET LOCAL lock_timeout = '500ms'"
GENERATIONS = """
    SELECT number, began_at, oldest_at, closed_at,
        pg_total_relation_size(CASE WHEN closed_at IS NULL THEN 'celery_task_results_ext'
            ELSE 'celery_task_results_' || number END::regclass) AS bytes
    FROM celery_task_generations ORDER BY number
"""
IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM ONLY celery_task_results_ext)"
CLOSE = "SELECT celery_tasks_close()"
DROP = "SELECT celery_tasks_drop($1)"
# Held by whoever closes and drops. Of several monitors one does.
TURN = "SELECT pg_try_advisory_xact_lock(hashtextextended('celery_task_generations', 0))"
DELETE = """
    WITH deleted AS (DELETE FROM ONLY {table} WHERE id IN (
        SELECT id FROM ONLY {table} WHERE heard_at < $1 AND updated_at < $1
        ORDER BY heard_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id)
    SELECT count(*) FROM deleted
"""


@dataclass(frozen=True)
class Generation:
    """`closed_at`: None for the one that is written. `bytes`: with its indexes."""

    number: int
    began_at: dt.datetime
    oldest_at: dt.datetime
    closed_at: dt.datetime | None
    bytes: int

    @property
    def table(self) -> str:
        return "celery_task_results_ext" if self.closed_at is None else f"celery_task_results_{self.number}"


class GenerationStore:
    """Reads, closes and drops generations, over one connection, in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def has_turn(self) -> bool:
        """Returns whether this transaction is the one that closes and drops, until its end."""
        return bool(await self._connection.fetchval(TURN))

    async def all(self) -> Sequence[Generation]:
        """Returns all, the oldest first; the last is the one that is written."""
        return [Generation(*row) for row in await self._connection.fetch(GENERATIONS)]

    async def is_empty(self) -> bool:
        """Returns whether the one that is written has no tasks."""
        return bool(await self._connection.fetchval(IS_EMPTY))

    async def close(self) -> None:
        """Closes the one that is written, and begins another."""
        await self._connection.execute(PATIENCE)
        await self._connection.execute(CLOSE)

    async def drop(self, generation: Generation) -> None:
        await self._connection.execute(PATIENCE)
        await self._connection.execute(DROP, generation.number)

    async def delete_before(self, generation: Generation, moment: dt.datetime, most: int) -> int:
        """Deletes at most so many of its tasks of which every event is older. Returns how many."""
        deleted: int = await self._connection.fetchval(DELETE.format(table=generation.table), moment, most)
        return deleted
