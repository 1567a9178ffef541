"""The SQL of dispatching: what is due is claimed, decided and recorded in one transaction.

On asyncpg's own connections: arrays in and out, thousands of rows a statement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg

from services.scheduler.crontab import CrontabInvalid
from services.scheduler.decide import Decision
from services.scheduler.plan import Plan
from services.scheduler.rows import PLAN_COLUMNS, TASK_COLUMNS, plan_of, task_of
from services.scheduler.schedules import Run, RunState, Task

# What a row raises that no API of ours has written.
UNREADABLE = (CrontabInvalid, ValueError, TypeError, KeyError, OverflowError)
# As text: the pool's connections would parse jsonb by Python's own json.
COLUMNS = TASK_COLUMNS.replace("headers", "headers::text AS headers")
NOW = "SELECT clock_timestamp()"
CLAIM = f"""
    SELECT id, next_run_at, next_due_at, run_count, {COLUMNS}, {PLAN_COLUMNS} FROM celery_schedules
    WHERE next_run_at <= now() ORDER BY next_run_at LIMIT $1
    FOR UPDATE SKIP LOCKED
"""
MOVE_ON = """
    UPDATE celery_schedules s
    SET next_run_at = moved.next_run_at, next_due_at = moved.next_due_at,
        last_run_at = coalesce(moved.last_run_at, s.last_run_at), run_count = s.run_count + moved.runs
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::bigint[])
        AS moved (id, next_run_at, next_due_at, last_run_at, runs)
    WHERE s.id = moved.id
"""
# A due time that is recorded already is not run again, whatever the clock did.
RECORD = """
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
    ON CONFLICT DO NOTHING
"""
RECORDED = """
    SELECT schedule_id, due_at FROM celery_schedule_runs
    JOIN unnest($1::text[], $2::timestamptz[]) AS wanted (schedule_id, due_at) USING (schedule_id, due_at)
    WHERE celery_schedule_runs.xmin = pg_current_xact_id()::xid
"""
PENDING = f"""
    SELECT r.schedule_id AS id, r.due_at, {COLUMNS}
    FROM celery_schedule_runs r JOIN celery_schedules s ON s.id = r.schedule_id
    WHERE r.state = 'pending' AND r.recorded_at <= now() - $1::interval
    ORDER BY r.recorded_at LIMIT $2
"""
PUBLISHED = """
    UPDATE celery_schedule_runs r SET state = 'published', published_at = now()
    FROM unnest($1::text[], $2::timestamptz[]) AS done (schedule_id, due_at)
    WHERE r.schedule_id = done.schedule_id AND r.due_at = done.due_at AND r.state = 'pending'
"""
GIVEN_UP = """
    UPDATE celery_schedule_runs SET state = 'skipped', reason = $3
    WHERE schedule_id = $1 AND due_at = $2 AND state = 'pending'
"""


class Due(NamedTuple):
    """A schedule whose due time has come, locked until the transaction ends."""

    id: str
    due: dt.datetime
    # Its due time and what jitter adds to it.
    sent: dt.datetime
    # None when the row can't be read: someone wrote it by SQL. Then `fault` says why.
    what: tuple[Task, Plan] | None
    # So many runs, until it is done; None: no end.
    left: int | None = None
    fault: str = ""


class Unpublished(NamedTuple):
    """A run that is committed, and not known to be published."""

    schedule_id: str
    due: dt.datetime
    task: Task | None
    fault: str = ""


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

    async def now(self) -> dt.datetime:
        """The database's clock: the one that counts."""
        moment: dt.datetime = await self._connection.fetchval(NOW)
        return moment

    async def claim(self, most: int) -> list[Due]:
        """The schedules that have waited longest, among those that no other replica has locked."""
        return [_due(row) for row in await self._connection.fetch(CLAIM, most)]

    async def record(self, claimed: Sequence[Due], decisions: Sequence[Decision]) -> list[Run]:
        """Records the runs and moves their schedules on; gives the runs that are new."""
        runs = [run for decision in decisions for run in decision.runs]
        identities = [run.schedule_id for run in runs], [run.due_at for run in runs]
        done = await self._connection.execute(
            RECORD, *identities, [run.state.value for run in runs], [run.reason for run in runs]
        )
        if done != f"INSERT 0 {len(runs)}":
            # Rare: the clock was set back, or a person set `next_run_at` to a time that has been.
            rows = await self._connection.fetch(RECORDED, *identities)
            new = {(row["schedule_id"], row["due_at"]) for row in rows}
            runs = [run for run in runs if (run.schedule_id, run.due_at) in new]
            decisions = [_with_runs(decision, new) for decision in decisions]
        moved = list(map(_moved, claimed, decisions))
        await self._connection.execute(MOVE_ON, *map(list, zip(*moved, strict=True)))
        return runs

    async def unpublished(self, older_than: dt.timedelta, most: int) -> list[Unpublished]:
        """Committed runs that nobody has recorded as published for a while."""
        return [_unpublished(row) for row in await self._connection.fetch(PENDING, older_than, most)]

    async def mark_published(self, schedule_ids: Sequence[str], due: Sequence[dt.datetime]) -> None:
        await self._connection.execute(PUBLISHED, schedule_ids, due)

    async def give_up(self, schedule_id: str, due: dt.datetime, reason: str) -> None:
        """A pending run that can't ever be published."""
        await self._connection.execute(GIVEN_UP, schedule_id, due, reason)

    async def seconds_to_next(self) -> float | None:
        """From now to the earliest due time; None when nothing is scheduled."""
        seconds: float | None = await self._connection.fetchval(
            "SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM celery_schedules"
        )
        return seconds


def _due(row: asyncpg.Record) -> Due:
    sent = row["next_run_at"]
    due = row["next_due_at"] or sent
    try:
        plan = plan_of(row)
        most = plan.bounds.max_runs
        left = None if most is None else most - row["run_count"]
        return Due(row["id"], due, sent, (task_of(row), plan), left)
    except UNREADABLE as error:
        return Due(row["id"], due, sent, None, fault=repr(error))


def _unpublished(row: asyncpg.Record) -> Unpublished:
    try:
        return Unpublished(row["id"], row["due_at"], task_of(row))
    except UNREADABLE as error:
        return Unpublished(row["id"], row["due_at"], None, repr(error))


def _with_runs(decision: Decision, new: set[tuple[str, dt.datetime]]) -> Decision:
    """Only with the runs that are new: no other counts."""
    return decision._replace(runs=tuple(run for run in decision.runs if (run.schedule_id, run.due_at) in new))


def _moved(due: Due, decision: Decision) -> tuple[Any, ...]:
    """The columns of MOVE_ON."""
    ran = [run.due_at for run in decision.runs if run.state is RunState.PENDING]
    last = ran[-1] if ran else None
    if due.left is not None and len(ran) >= due.left:
        return due.id, None, None, last, len(ran)
    next_due_at = None if decision.next_due_at == decision.next_run_at else decision.next_due_at
    return due.id, decision.next_run_at, next_due_at, last, len(ran)
