"""The SQL of tasks that have not ended, as far as is known, or ended and it is not known how."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from services.kernel.database import Connection
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_started import COLUMNS, record_of
from services.monitor.tasks.tasks import TOLD_ENDS, TaskState

UNTOLD = [state.value for state in TaskState if state not in TOLD_ENDS]
# Of one state, as its index has them.
PAGE = f"""
    SELECT {COLUMNS} FROM celery_task_results_ext
    WHERE state = $1 AND updated_at BETWEEN $2 AND $3 AND (heard_at, id) < ($4::timestamptz, $5)
    ORDER BY heard_at DESC, id DESC LIMIT $6
"""
SEVERAL = (
    f"SELECT {COLUMNS} FROM celery_task_results_ext WHERE id = any($1::text[]) AND state = any($2::text[])"
)
NEWEST = f"""
    SELECT {COLUMNS} FROM celery_task_results_ext
    WHERE state = any($1::text[]) AND (heard_at, id) < ($2::timestamptz, $3)
    ORDER BY heard_at DESC, id DESC LIMIT $4
"""
KNOWN = "SELECT id FROM celery_task_results_ext WHERE id = any($1::text[])"


class UnendedStore:
    """Reads tasks that have not ended, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(
        self, state: str, since: dt.datetime, until: dt.datetime, after: TaskRecord | None, most: int
    ) -> list[TaskRecord]:
        """Returns tasks in the state whose newest event is of that time.

        `after`: the last task of the page before.
        """
        at, last = (dt.datetime.max, "") if after is None else (_moment(after.heard), after.id)  # noqa: DTZ901
        rows = await self._connection.fetch(PAGE, state, since, until, at, last, most)
        return [record_of(row) for row in rows]

    async def newest(self, after: TaskRecord | None, most: int) -> list[TaskRecord]:
        """Returns tasks of whose end nothing is told, the newest first. `after`: the last one before."""
        at, last = (dt.datetime.max, "") if after is None else (_moment(after.heard), after.id)  # noqa: DTZ901
        return [record_of(row) for row in await self._connection.fetch(NEWEST, UNTOLD, at, last, most)]

    async def several(self, task_ids: Sequence[str]) -> list[TaskRecord]:
        """Returns those of the tasks of whose end nothing is told."""
        return [record_of(row) for row in await self._connection.fetch(SEVERAL, task_ids, UNTOLD)]

    async def known(self, task_ids: Sequence[str]) -> set[str]:
        """Returns those of the ids that there is a task of, in whatever state."""
        return {row["id"] for row in await self._connection.fetch(KNOWN, task_ids)}


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(microseconds / 1e6, dt.UTC)
