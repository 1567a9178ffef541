"""The SQL of dispatching: what is due is claimed, decided and recorded in one transaction.

Arrays in and out, thousands of rows a statement.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import asyncpg

from services.kernel.database import Connection
from services.scheduler.dispatch.decide import Decision
from services.scheduler.dispatch.fast_path import COLUMNS
from services.scheduler.dispatch.store_batches import DispatchStore
from services.scheduler.schedule.celery_message import MessageTemplate
from services.scheduler.schedule.definition import Run, RunState
from services.scheduler.schedule.rows import RowUnreadable, moment_of, plan_of, template_of
from services.scheduler.timing.plan import Plan


def _claim(which: str = "") -> str:
    # What is read by position comes first, and nothing twice.
    return f"""
        SELECT {COLUMNS}, latitude, longitude, misfire, misfire_window_seconds, run_count
        FROM celery_schedules
        WHERE next_run_at <= now() {which} ORDER BY next_run_at LIMIT $1
        FOR UPDATE SKIP LOCKED
    """


CLAIM = _claim()
CLAIM_BUT_NOT = _claim("AND id <> ALL($2::text[])")
CLAIM_THESE = _claim("AND id = ANY($2::text[])")
DUE_IDS = """
    SELECT id FROM celery_schedules
    WHERE next_run_at <= now() AND id <> ALL($2::text[]) ORDER BY next_run_at LIMIT $1
"""
SECONDS_TO_NEXT = """
    SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM celery_schedules
    WHERE id <> ALL($1::text[])
"""
# Due times are recorded as they stand in the rows, and the schedules move on, in one statement. $2 has, for
# each schedule, where in $3 it finds when it is due next: many have one such moment.
IN_TIME = """
    WITH moved AS (
        UPDATE celery_schedules s
        SET last_run_at = s.next_run_at, next_run_at = ($3::timestamptz[])[wanted.place],
            run_count = s.run_count + 1
        FROM unnest($1::text[], $2::int[]) AS wanted (id, place)
        WHERE s.id = wanted.id RETURNING s.id, s.last_run_at
    )
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id)
    SELECT id, last_run_at, 'batched', 'due', $4 FROM moved
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
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, exclusive, batch_id)
    SELECT schedule_id, due_at, CASE WHEN state = 'pending' THEN 'batched' ELSE state END, reason,
        state = 'waiting', CASE WHEN state = 'pending' THEN $5::bigint END
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
        AS run (schedule_id, due_at, state, reason)
    ON CONFLICT DO NOTHING
"""
RECORDED = """
    SELECT schedule_id, due_at FROM celery_schedule_runs
    JOIN unnest($1::text[], $2::timestamptz[]) AS wanted (schedule_id, due_at) USING (schedule_id, due_at)
    WHERE celery_schedule_runs.xmin = pg_current_xact_id()::xid
"""
# A line of the log of changes, which watch/ reads.
RUNS_CHANGED = """
    INSERT INTO celery_schedule_changes (kind, schedule_ids, due_at)
    VALUES ('runs', $1::text[], $2::timestamptz[])
"""


class Due(NamedTuple):
    """A schedule whose due time has come, locked until the transaction ends."""

    id: str
    due: dt.datetime
    # Its due time and what jitter adds to it.
    sent: dt.datetime
    # None when the row can't be read: someone wrote it by SQL. Then `fault` says why.
    what: tuple[MessageTemplate, Plan] | None
    # So many runs, until it is done; None: no end.
    left: int | None = None
    fault: str = ""
    # It may run beside an earlier run of the schedule.
    overlaps: bool = True


class RecordedAlready(Exception):
    """One of the due times has a run already; nothing of the batch was recorded."""


class DueStore(DispatchStore):
    """Dispatching on one connection."""

    async def claim(
        self, most: int, these: Collection[str] | None = None, but_not: Collection[str] = ()
    ) -> list[asyncpg.Record]:
        """The schedules that have waited longest, among those that no other replica has locked.

        Of `these` schedules (None: of all), without those in `but_not`. As `InTime.take` and `due_of` read
        them.
        """
        rows: list[asyncpg.Record]
        if these is not None:
            rows = await self._connection.fetch(CLAIM_THESE, most, list(these))
        elif but_not:
            rows = await self._connection.fetch(CLAIM_BUT_NOT, most, list(but_not))
        else:
            rows = await self._connection.fetch(CLAIM, most)
        return rows

    async def due_ids(self, most: int, but_not: Collection[str]) -> list[str]:
        """The schedules that have waited longest, locked or not, and nothing else of them."""
        return [row["id"] for row in await self._connection.fetch(DUE_IDS, most, list(but_not))]

    async def record_in_time(
        self, batch_id: int, schedule_ids: Sequence[str], following: Sequence[dt.datetime | None]
    ) -> None:
        """Records a run of what each of the schedules is due for, and moves them on to the following times.

        Raises `RecordedAlready` when one of the due times has a run; the transaction is over then.
        """
        places: dict[dt.datetime | None, int] = {}
        place = [places.setdefault(each, len(places) + 1) for each in following]
        try:
            await self._connection.execute(IN_TIME, schedule_ids, place, list(places), batch_id)
        except asyncpg.UniqueViolationError as error:
            raise RecordedAlready from error

    async def record(self, batch_id: int, claimed: Sequence[Due], decisions: Sequence[Decision]) -> list[Run]:
        """Records the runs and moves their schedules on; gives the runs that are new."""
        if not claimed:
            return []
        each = list(zip(claimed, decisions, strict=True))
        runs = [run for decision in decisions for run in decision.runs]
        done = await self._connection.execute(
            RECORD,
            [run.schedule_id for run in runs],
            [run.due_at for run in runs],
            [run.state.value for run in runs],
            [run.reason for run in runs],
            batch_id,
        )
        if done != f"INSERT 0 {len(runs)}":
            new = await self._new(runs)
            runs = [run for run in runs if (run.schedule_id, run.due_at) in new]
            each = [(due, _with_runs(decision, new)) for due, decision in each]
        await log_unbatched(self._connection, runs)
        moved = [_moved(due, decision) for due, decision in each]
        await self._connection.execute(MOVE_ON, *map(list, zip(*moved, strict=True)))
        return runs

    async def _new(self, runs: Sequence[Run]) -> set[tuple[str, dt.datetime]]:
        """Which of the runs this transaction has inserted, where PostgreSQL says that it has not all of them.

        Rare: the clock was set back, or a person set `next_run_at` to a time that has been.
        """
        rows = await self._connection.fetch(
            RECORDED, [run.schedule_id for run in runs], [run.due_at for run in runs]
        )
        return {(row["schedule_id"], row["due_at"]) for row in rows}

    async def seconds_to_next(self, but_not: Collection[str] = ()) -> float | None:
        """From now to the earliest due time of all schedules but those; None when nothing is scheduled."""
        seconds: float | None = await self._connection.fetchval(SECONDS_TO_NEXT, list(but_not))
        return seconds


def due_of(row: asyncpg.Record) -> Due:
    """A claimed row, to be decided on by itself."""
    sent, due = row["next_run_at"], row["next_run_at"]
    try:
        moment_of(row, "next_run_at")
        due = moment_of(row, "next_due_at") or sent
        plan = plan_of(row)
        most = plan.bounds.max_runs
        left = None if most is None else most - row["run_count"]
        what = template_of(row), plan
        return Due(row["id"], due, sent, what, left, overlaps=row["overlap"] == "allow")
    except RowUnreadable as error:
        return Due(row["id"], due, sent, None, fault=str(error))


def _with_runs(decision: Decision, new: set[tuple[str, dt.datetime]]) -> Decision:
    """Only with the runs that are new: no other counts."""
    return decision._replace(runs=tuple(run for run in decision.runs if (run.schedule_id, run.due_at) in new))


def _moved(due: Due, decision: Decision) -> tuple[Any, ...]:
    """The columns of MOVE_ON."""
    ran = [run.due_at for run in decision.runs if run.state is not RunState.SKIPPED]
    last = ran[-1] if ran else None
    if due.left is not None and len(ran) >= due.left:
        return due.id, None, None, last, len(ran)
    next_due_at = None if decision.next_due_at == decision.next_run_at else decision.next_due_at
    return due.id, decision.next_run_at, next_due_at, last, len(ran)


async def log_unbatched(connection: Connection, runs: Sequence[Run]) -> None:
    """For who has inserted runs, in the same transaction: those that no batch publishes are logged.

    A trigger would do, but at a cost for each run. What is updated is logged by one.
    """
    untold = [run for run in runs if run.state is not RunState.PENDING]
    if untold:
        schedules, due = [run.schedule_id for run in untold], [run.due_at for run in untold]
        await connection.execute(RUNS_CHANGED, schedules, due)
