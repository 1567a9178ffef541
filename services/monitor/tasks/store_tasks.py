"""The SQL of tasks: they are written in batches and read by id or by filter (`store_listing`).

Rows are merged as `tasks.py` merges events: times can only grow, and each other value is that of the newest
event of its type. So a batch may be written twice, by two replicas, or after a newer one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import ARRAY, CompoundSelect, Select, Text, any_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.database import Connection
from services.kernel.errors import NotFound
from services.kernel.pages import Place
from services.monitor.tasks.attempts import MOST, read, written
from services.monitor.tasks.custom_states import shown_in
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.revocations import Revocation
from services.monitor.tasks.store_listing import IN_SHORT, SHOWN, TaskFilter, c, listing
from services.monitor.tasks.tasks import TOLD_ENDS, Task, TaskState
from services.monitor.tasks.values import time_in

# A row for `TaskBatches`: the values of the columns in `STAGED`.
Row: TypeAlias = tuple[Any, ...]
# Statements at the end of a transaction.
Last: TypeAlias = Callable[[Connection], Awaitable[None]]

TEXTS = (
    *("task", "queue", "worker", "args", "kwargs", "result"),
    *("exception", "exception_type", "exception_message", "traceback"),
    *("revocation", "termination_signal", "custom_state", "vanished_as"),
)
IDS = ("parent_id", "root_id", "run", "request_id")
TIMES = (
    "sent",
    "received",
    "started",
    "retried",
    "succeeded",
    "failed",
    "revoked",
    "rejected",
    "vanished",
    "custom",
)
MARKS = ("heard", "updated", "worker_at")
# More of them than one, as JSON (attempts.py).
ATTEMPTS = "attempts"
# Its arguments, encrypted (sealed_arguments.py).
SEALED = "sealed_arguments"
STAGED = (
    "id",
    *TEXTS,
    *IDS,
    "worker_pid",
    "retries",
    "runtime",
    "eta",
    "expires",
    ATTEMPTS,
    SEALED,
    *TIMES,
    *MARKS,
)


def row_of(record: TaskRecord) -> Row:
    """Returns a task's row for the staging table. Times in microseconds; None: no such event has come."""
    return (
        record.id,
        record.task,
        record.queue,
        record.worker,
        record.args,
        record.kwargs,
        record.result,
        record.exception,
        record.exception_type,
        record.exception_message,
        record.traceback,
        record.revocation,
        record.termination_signal,
        record.custom_state,
        record.vanished_as.value if record.vanished else None,
        record.parent_id,
        record.root_id,
        record.run,
        record.request_id,
        record.worker_pid,
        record.retries,
        record.runtime,
        time_in(record.eta),
        time_in(record.expires),
        written(record.attempts) if record.attempts else None,
        record.sealed,
        record.sent or None,
        record.received or None,
        record.started or None,
        record.retried or None,
        record.succeeded or None,
        record.failed or None,
        record.revoked or None,
        record.rejected or None,
        record.vanished or None,
        record.custom or None,
        record.heard,
        record.updated,
        record.worker_at or None,
    )


CREATE_STAGED = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS staged_tasks (
    id text, {", ".join(f"{name} text" for name in (*TEXTS, *IDS))},
    worker_pid int8, retries int, runtime float8, eta timestamptz, expires timestamptz,
    {ATTEMPTS} text, {SEALED} text, {", ".join(f"{name} int8" for name in (*TIMES, *MARKS))}
) ON COMMIT DELETE ROWS
"""


def _moment(name: str) -> str:
    return f"to_timestamp({name} / 1000000.0::float8)"


def _is_newest(*times: str) -> str:
    """Returns SQL that tells whether the new row has the newer of the times, or the same."""
    ours = ", ".join(f"coalesce(excluded.{time}, '-infinity')" for time in times)
    theirs = ", ".join(f"coalesce(known.{time}, '-infinity')" for time in times)
    return f"({ours}) >= ({theirs})"


def _newest(column: str, *times: str, keep: bool = True) -> str:
    """Returns SQL that sets the column from the row, stored or new, with the newer of the times.

    If that row has NULL in the column, the other row's value is used, unless `keep` is False.
    """
    newest = _is_newest(*times)
    if not keep:
        return f"{column} = CASE WHEN {newest} THEN excluded.{column} ELSE known.{column} END"
    return (
        f"{column} = CASE WHEN {newest} THEN coalesce(excluded.{column}, known.{column})"
        f" ELSE coalesce(known.{column}, excluded.{column}) END"
    )


_TIME_COLUMNS = [f"{name}_at" for name in TIMES]
_DETAILS = ("task", "args", "kwargs", "parent_id", "root_id", "retries")
_CHANGES = [
    *(_newest(column, "received_at", "sent_at") for column in _DETAILS),
    # A task has no more than one run, and comes of no more than one request.
    "run = coalesce(known.run, excluded.run)",
    "request_id = coalesce(known.request_id, excluded.request_id)",
    # A later try may have no eta or expiry although an earlier one had.
    *(_newest(column, "received_at", "sent_at", keep=False) for column in ("eta", "expires")),
    # An empty queue: what its worker consumes does not tell it, after all.
    _newest("queue", "sent_at"),
    _newest("worker", "worker_at"),
    # The hostname and the process id are those of one event.
    """worker_pid = CASE
        WHEN excluded.worker IS NULL THEN known.worker_pid
        WHEN known.worker IS NULL
            OR coalesce(excluded.worker_at, '-infinity') >= coalesce(known.worker_at, '-infinity')
            THEN excluded.worker_pid
        ELSE known.worker_pid
    END""",
    # Those that `args` shows, or none: the arguments of another try may be others.
    f"""sealed_arguments = CASE
        WHEN known.args IS NULL OR (excluded.args IS NOT NULL AND {_is_newest("received_at", "sent_at")})
            THEN excluded.sealed_arguments
        ELSE known.sealed_arguments
    END""",
    # All that are known, the newest ones; what is written later knows more of one.
    f"""attempts = CASE
        WHEN excluded.attempts IS NULL THEN known.attempts
        WHEN known.attempts IS NULL THEN excluded.attempts
        ELSE (
            SELECT jsonb_object_agg(key, value) FROM (
                SELECT key, value FROM jsonb_each(known.attempts || excluded.attempts)
                ORDER BY key COLLATE "C" DESC LIMIT {MOST}
            ) AS newest
        )
    END""",
    *(_newest(column, "succeeded_at") for column in ("result", "runtime")),
    _newest("custom_state", "custom_at"),
    """vanished_as = CASE
        WHEN coalesce(excluded.vanished_at, '-infinity') > coalesce(known.vanished_at, '-infinity')
            THEN excluded.vanished_as
        WHEN excluded.vanished_at = known.vanished_at THEN greatest(excluded.vanished_as, known.vanished_as)
        ELSE known.vanished_as
    END""",
    *(_newest(column, "revoked_at", keep=False) for column in ("revocation", "termination_signal")),
    *(
        f"{column} = CASE WHEN coalesce(greatest(excluded.failed_at, excluded.retried_at), '-infinity')"
        " >= coalesce(greatest(known.failed_at, known.retried_at), '-infinity')"
        f" THEN coalesce(excluded.{column}, known.{column}) ELSE known.{column} END"
        for column in ("exception", "exception_type", "exception_message", "traceback")
    ),
    *(f"{column} = greatest(known.{column}, excluded.{column})" for column in _TIME_COLUMNS),
    "heard_at = least(known.heard_at, excluded.heard_at)",
    "updated_at = greatest(known.updated_at, excluded.updated_at)",
    "worker_at = greatest(known.worker_at, excluded.worker_at)",
]
_COLUMNS = [
    "id",
    *TEXTS,
    *IDS,
    "worker_pid",
    "retries",
    "runtime",
    "eta",
    "expires",
    ATTEMPTS,
    SEALED,
    *_TIME_COLUMNS,
    "heard_at",
    "updated_at",
    "worker_at",
]
_VALUES = [
    *STAGED[: -len((ATTEMPTS, SEALED, *TIMES, *MARKS))],
    "attempts::jsonb",
    "sealed_arguments::jsonb",
    *map(_moment, (*TIMES, *MARKS)),
]
_NEWER = " OR ".join(f"excluded.{column} > coalesce(known.{column}, '-infinity')" for column in _TIME_COLUMNS)
LOCK = "LOCK TABLE celery_task_results_ext IN ROW EXCLUSIVE MODE"
HAS_CLOSED = """
    SELECT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'celery_task_results_ext'::regclass)
"""
# A task of a closed generation of which something is heard again goes to the one that is written. By an
# array, so that the planner reads the index of each generation, and not all of its rows.
REOPEN = f"""
WITH moved AS (
    DELETE FROM celery_task_results_ext
    WHERE id = ANY(ARRAY(SELECT id FROM staged_tasks)) AND tableoid <> 'celery_task_results_ext'::regclass
    RETURNING {", ".join(_COLUMNS)}
)
INSERT INTO celery_task_results_ext ({", ".join(_COLUMNS)}) SELECT {", ".join(_COLUMNS)} FROM moved
ON CONFLICT (id) DO NOTHING
"""
# Ordered by id, so that two replicas that write the same rows can't end in a deadlock.
MERGE = f"""
INSERT INTO celery_task_results_ext AS known ({", ".join(_COLUMNS)})
SELECT {", ".join(_VALUES)} FROM staged_tasks ORDER BY id
ON CONFLICT (id) DO UPDATE SET {", ".join(_CHANGES)}
WHERE {_NEWER} OR excluded.heard_at < known.heard_at OR (known.run IS NULL AND excluded.run IS NOT NULL)
    OR (known.request_id IS NULL AND excluded.request_id IS NOT NULL)
    OR (excluded.vanished_at = known.vanished_at AND excluded.vanished_as > coalesce(known.vanished_as, ''))
    OR (excluded.queue = '' AND known.queue <> '' AND excluded.sent_at IS NOT DISTINCT FROM known.sent_at)
"""


class RowsRefused(Exception):
    """One of the rows has a value that the database can't store."""


class TaskBatches:
    """Writes batches of rows over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def prepare(self) -> None:
        await self._connection.execute("SET client_min_messages = warning")
        await self._connection.execute(CREATE_STAGED)

    async def write(self, rows: Sequence[Row], last: Last | None = None) -> None:
        """Merges the rows (each id once) in one transaction, which ends with the statements of `last`.

        Raises `RowsRefused`, and what `last` raises, with nothing written.
        """
        async with self._connection.transaction():
            try:
                if rows:
                    await self._connection.copy_records_to_table("staged_tasks", records=rows, columns=STAGED)
                    # With the lock, no generation is closed before the end of the transaction.
                    await self._connection.execute(LOCK)
                    if await self._connection.fetchval(HAS_CLOSED):
                        await self._connection.execute(REOPEN)
                    await self._connection.execute(MERGE)
            except (asyncpg.DataError, ValueError, OverflowError) as error:
                raise RowsRefused(str(error)) from error
            if last is not None:
                await last(self._connection)


# Of two rows of a task the newest: the version before may write one beside that of a closed generation.
ONE = (
    select(*SHOWN, c.traceback, c.attempts)
    .where(c.id == bindparam("id"))
    .order_by(c.updated_at.desc())
    .limit(1)
)
SEVERAL = IN_SHORT.where(c.id == any_(bindparam("ids", type_=ARRAY(Text)))).order_by(c.updated_at)

SENT = (
    select(c.id, c.sent_at)
    .where(c.id == any_(bindparam("ids", type_=ARRAY(Text))), c.sent_at.is_not(None))
    .order_by(c.updated_at)
)


class TaskStore:
    """Reads tasks, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, task_id: str) -> Task:
        task = await self.find(task_id)
        if task is None:
            raise unheard(task_id)
        return task

    async def find(self, task_id: str) -> Task | None:
        """Returns the task; None if it is unknown."""
        row = (await self._session.execute(ONE, {"id": task_id})).mappings().one_or_none()
        return None if row is None else _task_of(row)

    async def get_several(self, task_ids: Sequence[str]) -> Sequence[Task]:
        """Returns those of the tasks that are known, in no particular order, without tracebacks."""
        rows = await self._session.execute(SEVERAL, {"ids": list(task_ids)})
        newest = {row["id"]: row for row in rows.mappings()}
        return [_task_of(row) for row in newest.values()]

    async def sent_times(self, task_ids: Sequence[str]) -> dict[str, dt.datetime]:
        """Returns when those of the tasks were sent of which that is known."""
        rows = await self._session.execute(SENT, {"ids": list(task_ids)})
        return {row["id"]: row["sent_at"] for row in rows.mappings()}

    async def list(
        self, wanted: TaskFilter, after: Place | None, most: int, newer_than: Place | None = None
    ) -> Sequence[Task]:
        """Returns tasks after the position in the order of `listing`, without tracebacks."""
        return await self.found_by(listing(wanted, after, most, newer_than))

    async def found_by(self, query: Select[Any] | CompoundSelect[Any]) -> Sequence[Task]:
        """Returns the tasks that a query for the columns of `IN_SHORT` finds."""
        rows = await self._session.execute(query)
        return [_task_of(row) for row in rows.mappings()]


def unheard(task_id: str) -> NotFound:
    """Returns the refusal for a task of which nothing is known."""
    name = f"tasks/{task_id}"
    why = "no event of it was heard, or it is no longer kept"
    waits = "a task that waits is known only if its sender tells (task_send_sent_event = True)"
    look = "PeekQueue shows the messages of a queue"
    return NotFound("task", name, f"there is no task {name!r}: {why}; {waits}; {look}")


def _has_custom_state(row: Any, state: TaskState) -> bool:
    told_at, received_at = row["custom_at"], row["received_at"]
    return told_at is not None and shown_in(state, of_this_try=received_at is None or told_at >= received_at)


def _task_of(row: Any) -> Task:
    state = TaskState(row["state"])
    return Task(
        id=row["id"],
        task=row["task"] or "",
        state=state,
        queue=row["queue"] or "",
        worker=row["worker"] or "",
        worker_pid=row["worker_pid"],
        args=row["args"] or "",
        kwargs=row["kwargs"] or "",
        retries=row["retries"] or 0,
        result=row["result"] or "",
        exception=row["exception"] or "",
        traceback=row["traceback"] or "",
        runtime=row["runtime"],
        eta=row["eta"],
        expires=row["expires"],
        parent_id=row["parent_id"] or "",
        root_id=row["root_id"] or "",
        run=row["run"] or "",
        sent_at=row["sent_at"],
        received_at=row["received_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"] if state in TOLD_ENDS else None,
        heard_at=row["heard_at"],
        updated_at=row["updated_at"],
        exception_type=row["exception_type"] or "",
        exception_message=row["exception_message"] or "",
        revocation=Revocation(row["revocation"]) if row["revocation"] else None,
        termination_signal=row["termination_signal"] or "",
        custom_state=row["custom_state"] if _has_custom_state(row, state) else "",
        attempts=read(row.get("attempts")),
        request_id=row["request_id"] or "",
    )
