"""The SQL of dispatching: due schedules are claimed and their runs recorded in one transaction.

Statements take arrays, with thousands of rows at a time.
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
from services.scheduler.schedule.definition import Run, RunState
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.rows import RowUnreadable, moment_of, plan_of, template_of
from services.scheduler.timing.plan import Plan


def _claim(which: str = "") -> str:
    # The columns that are read by position come first, and no column comes twice.
    return f"""
        SELECT {COLUMNS}, latitude, longitude, misfire, misfire_window_seconds, run_count, version
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
# One statement records the due times in the rows and sets the next ones. $2 holds, for each schedule, the
# position of its next due time in $3: many schedules share one.
IN_TIME = """
    WITH moved AS (
        UPDATE celery_schedules s
        SET last_run_at = s.next_run_at, next_run_at = ($3::timestamptz[])[wanted.place],
            run_count = s.run_count + 1
        FROM unnest($1::text[], $2::int[]) AS wanted (id, place)
        WHERE s.id = wanted.id RETURNING s.id, s.last_run_at, s.task_namespace, s.version
    )
    INSERT INTO celery_schedule_runs
        (schedule_id, due_at, state, reason, batch_id, task_namespace, schedule_version)
    SELECT id, last_run_at, 'batched', 'due', $4, task_namespace, version FROM moved
"""
MOVE_ON = """
    UPDATE celery_schedules s
    SET next_run_at = moved.next_run_at, next_due_at = moved.next_due_at,
        last_run_at = coalesce(moved.last_run_at, s.last_run_at), run_count = s.run_count + moved.runs
    FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::bigint[])
        AS moved (id, next_run_at, next_due_at, last_run_at, runs)
    WHERE s.id = moved.id
"""
# A due time that already has a run is not run again, even if the clock was set back.
RECORD = """
    INSERT INTO celery_schedule_runs
        (schedule_id, due_at, state, reason, exclusive, batch_id, task_namespace, schedule_version)
    SELECT schedule_id, due_at, CASE WHEN state = 'pending' THEN 'batched' ELSE state END, reason,
        state = 'waiting', CASE WHEN state = 'pending' THEN $7::bigint END, task_namespace,
        schedule_version
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
        AS run (schedule_id, due_at, state, reason, task_namespace, schedule_version)
    ON CONFLICT DO NOTHING
"""
RECORDED = """
    SELECT schedule_id, due_at FROM celery_schedule_runs
    JOIN unnest($1::text[], $2::timestamptz[]) AS wanted (schedule_id, due_at) USING (schedule_id, due_at)
    WHERE celery_schedule_runs.xmin = pg_current_xact_id()::xid
"""
# Adds a row to the log of changes, which watch/ reads.
RUNS_CHANGED = """
    INSERT INTO celery_schedule_changes (kind, schedule_ids, due_at)
    VALUES ('runs', $1::text[], $2::timestamptz[])
"""


class Due(NamedTuple):
    """A claimed schedule; its row is locked until the transaction ends."""

    id: str
    due: dt.datetime
    # The due time plus jitter.
    sent: dt.datetime
    # None when the row can't be read, because someone wrote it by SQL; `fault` then says why.
    what: tuple[MessageTemplate, Plan] | None
    # How many runs it may still have (max_runs); None: no limit.
    left: int | None = None
    fault: str = ""
    # Its runs may overlap: the overlap policy is "allow".
    overlaps: bool = True
    # That of its runs' task ids.
    task_namespace: bytes | None = None
    version: int | None = None


class RecordedAlready(Exception):
    """One of the due times already has a run; nothing of the batch was recorded."""


class DueStore(DispatchStore):
    """Claims due schedules and records their runs, on one connection."""

    async def claim(
        self, most: int, these: Collection[str] | None = None, but_not: Collection[str] = ()
    ) -> list[asyncpg.Record]:
        """Locks and returns the schedules that have been due longest and that no other replica has locked.

        With `these`, only schedules among them; otherwise all but those in `but_not`. The rows are for
        `InTime.take` and `due_of`.
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
        """Returns the ids of the schedules that have been due longest, locked or not, without `but_not`."""
        return [row["id"] for row in await self._connection.fetch(DUE_IDS, most, list(but_not))]

    async def record_in_time(
        self, batch_id: int, schedule_ids: Sequence[str], following: Sequence[dt.datetime | None]
    ) -> None:
        """Records a run for the due time of each schedule, and sets the next due times (`following`).

        Raises `RecordedAlready` when one of the due times already has a run; the transaction has then failed.
        """
        places: dict[dt.datetime | None, int] = {}
        place = [places.setdefault(each, len(places) + 1) for each in following]
        try:
            await self._connection.execute(IN_TIME, schedule_ids, place, list(places), batch_id)
        except asyncpg.UniqueViolationError as error:
            raise RecordedAlready from error

    async def record(self, batch_id: int, claimed: Sequence[Due], decisions: Sequence[Decision]) -> list[Run]:
        """Records the runs and sets the next due times of their schedules. Returns the runs that are new."""
        if not claimed:
            return []
        each = list(zip(claimed, decisions, strict=True))
        runs = [
            run._replace(task_namespace=due.task_namespace, schedule_version=due.version)
            for due, decision in each
            for run in decision.runs
        ]
        done = await self._connection.execute(
            RECORD,
            [run.schedule_id for run in runs],
            [run.due_at for run in runs],
            [run.state.value for run in runs],
            [run.reason for run in runs],
            [run.task_namespace for run in runs],
            [run.schedule_version for run in runs],
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
        """Returns which of the runs this transaction has inserted, after RECORD has not inserted all of them.

        This is rare: the clock was set back, or a person has set `next_run_at` to a due time that has a run.
        """
        rows = await self._connection.fetch(
            RECORDED, [run.schedule_id for run in runs], [run.due_at for run in runs]
        )
        return {(row["schedule_id"], row["due_at"]) for row in rows}

    async def seconds_to_next(self, but_not: Collection[str] = ()) -> float | None:
        """Returns the seconds until the next schedule not in `but_not` is due; None when there is none."""
        seconds: float | None = await self._connection.fetchval(SECONDS_TO_NEXT, list(but_not))
        return seconds


def due_of(row: asyncpg.Record) -> Due:
    """Reads a claimed row for `decide`."""
    sent, due = row["next_run_at"], row["next_run_at"]
    try:
        moment_of(row, "next_run_at")
        due = moment_of(row, "next_due_at") or sent
        plan = plan_of(row)
        most = plan.bounds.max_runs
        left = None if most is None else most - row["run_count"]
        what = template_of(row), plan
        found = Due(row["id"], due, sent, what, left, overlaps=row["overlap"] == "allow")
    except RowUnreadable as error:
        found = Due(row["id"], due, sent, None, fault=str(error))
    return found._replace(task_namespace=row["task_namespace"], version=row["version"])


def _with_runs(decision: Decision, new: set[tuple[str, dt.datetime]]) -> Decision:
    """Returns the decision with only those of its runs that are new."""
    return decision._replace(runs=tuple(run for run in decision.runs if (run.schedule_id, run.due_at) in new))


def _moved(due: Due, decision: Decision) -> tuple[Any, ...]:
    """Returns a schedule's values for the columns of MOVE_ON."""
    ran = [run.due_at for run in decision.runs if run.state is not RunState.SKIPPED]
    last = ran[-1] if ran else None
    if due.left is not None and len(ran) >= due.left:
        return due.id, None, None, last, len(ran)
    next_due_at = None if decision.next_due_at == decision.next_run_at else decision.next_due_at
    return due.id, decision.next_run_at, next_due_at, last, len(ran)


async def log_unbatched(connection: Connection, runs: Sequence[Run]) -> None:
    """Adds the inserted runs that no batch publishes to the log of changes, in the same transaction.

    A trigger on inserts could do this, but it would cost time for every run. Updates are logged by a trigger.
    """
    untold = [run for run in runs if run.state is not RunState.PENDING]
    if untold:
        schedules, due = [run.schedule_id for run in untold], [run.due_at for run in untold]
        await connection.execute(RUNS_CHANGED, schedules, due)
