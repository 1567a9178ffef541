"""The SQL of dispatching: what is due is claimed, decided and recorded in one transaction.

On asyncpg's own connections: arrays in and out, thousands of rows a statement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.scheduler.rows import TASK_COLUMNS, TIMING_COLUMNS, task_of, timing_of
from services.scheduler.schedules import Decision, Run, RunState, Task
from services.scheduler.timing import Timing

CLAIM = f"""
    SELECT id, version, next_run_at, clock_timestamp() AS now, {TASK_COLUMNS}, {TIMING_COLUMNS}
    FROM celery_schedules WHERE next_run_at <= now() ORDER BY next_run_at LIMIT $1
    FOR UPDATE SKIP LOCKED
"""
MOVE_ON = """
    UPDATE celery_schedules s SET next_run_at = moved.next_run_at, last_run_at = moved.last_run_at
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS moved (id, next_run_at, last_run_at)
    WHERE s.id = moved.id
"""
# A due time that is recorded already is not run again, whatever the clock did.
RECORD = """
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
    ON CONFLICT DO NOTHING
    RETURNING schedule_id, due_at
"""
PENDING = f"""
    SELECT r.schedule_id AS id, r.due_at, s.version, clock_timestamp() AS now, {TASK_COLUMNS}
    FROM celery_schedule_runs r JOIN celery_schedules s ON s.id = r.schedule_id
    WHERE r.state = 'pending' AND r.recorded_at <= now() - $1::interval
    ORDER BY r.recorded_at LIMIT $2
"""
PUBLISHED = """
    UPDATE celery_schedule_runs r SET state = 'published', published_at = now()
    FROM unnest($1::text[], $2::timestamptz[]) AS done (schedule_id, due_at)
    WHERE r.schedule_id = done.schedule_id AND r.due_at = done.due_at AND r.state = 'pending'
"""


@dataclass(frozen=True)
class Due:
    """A schedule whose due time has come, locked until the transaction ends."""

    id: str
    version: int
    task: Task
    timing: Timing
    due: dt.datetime
    now: dt.datetime


@dataclass(frozen=True)
class PendingRun:
    """A run that is committed, and not known to be published. `read_at`: the database's clock."""

    schedule_id: str
    version: int
    task: Task
    due: dt.datetime
    read_at: dt.datetime


class DueStore:
    """Dispatching on one asyncpg connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            # A dispatcher that is frozen must not keep others from what it has locked.
            await self._connection.execute(
                "SELECT set_config('celeriac.dispatching', 'on', true),"
                " set_config('idle_in_transaction_session_timeout', '2s', true)"
            )
            yield

    async def claim(self, most: int) -> list[Due]:
        """The schedules that have waited longest, among those that no other replica has locked."""
        return [
            Due(row["id"], row["version"], task_of(row), timing_of(row), row["next_run_at"], row["now"])
            for row in await self._connection.fetch(CLAIM, most)
        ]

    async def record(
        self, claimed: Sequence[Due], decisions: Sequence[Decision]
    ) -> set[tuple[str, dt.datetime]]:
        """Moves the schedules on and records their runs; gives (schedule, due time) of what is new."""
        runs = [run for decision in decisions for run in decision.runs]
        await self._connection.execute(
            MOVE_ON,
            [due.id for due in claimed],
            [decision.next_run_at for decision in decisions],
            [_last_run(due, decision) for due, decision in zip(claimed, decisions, strict=True)],
        )
        rows = await self._connection.fetch(
            RECORD,
            [run.schedule_id for run in runs],
            [run.due_at for run in runs],
            [run.state.value for run in runs],
            [run.reason for run in runs],
        )
        return {(row["schedule_id"], row["due_at"]) for row in rows}

    async def pending(self, older_than: dt.timedelta, most: int) -> list[PendingRun]:
        """Committed runs that nobody has recorded as published for a while."""
        return [
            PendingRun(row["id"], row["version"], task_of(row), row["due_at"], row["now"])
            for row in await self._connection.fetch(PENDING, older_than, most)
        ]

    async def mark_published(self, runs: Sequence[PendingRun]) -> None:
        await self._connection.execute(
            PUBLISHED, [run.schedule_id for run in runs], [run.due for run in runs]
        )

    async def seconds_to_next(self) -> float | None:
        """From now to the earliest due time; None when nothing is scheduled."""
        seconds: float | None = await self._connection.fetchval(
            "SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM celery_schedules"
        )
        return seconds


def _last_run(due: Due, decision: Decision) -> dt.datetime:
    ran: list[Run] = [run for run in decision.runs if run.state is RunState.PENDING]
    return ran[-1].due_at if ran else due.due
