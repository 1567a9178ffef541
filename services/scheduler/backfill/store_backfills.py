"""The SQL of backfills: begin, read, cancel (`BackfillStore`); send their runs (`BackfillingStore`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from services.kernel.once import Once
from services.kernel.parameters import Parameters
from services.scheduler.backfill.backfill import Backfill, BackfillState
from services.scheduler.dispatch.store_batches import DispatchStore
from services.scheduler.schedule.message_template import MessageTemplate
from services.scheduler.schedule.rows import TASK_COLUMNS, RowUnreadable, template_of
from services.scheduler.schedule.store_base import Store

# All columns but the due times, of which there may be thousands.
COLUMNS = """
    id, schedule_id, start_at, end_at, newest_first, rate, actor, state, note, run_count, first_due_at,
    last_due_at, handled, sent, created_at, ended_at, operation_id
"""
ADD = f"""
    INSERT INTO celery_schedule_backfills (
        id, schedule_id, start_at, end_at, newest_first, rate, actor, request_id, request_digest,
        due_at, run_count, first_due_at, last_due_at, call_id, state, ended_at)
    VALUES (
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::timestamptz[], $11, $12, $13, $14,
        CASE WHEN $11 = 0 THEN 'done' ELSE 'running' END, CASE WHEN $11 = 0 THEN now() END)
    RETURNING {COLUMNS}
"""
MADE_BY = f"""
    SELECT {COLUMNS}, request_digest FROM celery_schedule_backfills
    WHERE schedule_id = $1 AND request_id = $2
"""
WITH_IDS = f"SELECT {COLUMNS} FROM celery_schedule_backfills WHERE id = ANY ($1::text[])"
RUN_ALREADY = """
    SELECT due_at FROM celery_schedule_runs
    WHERE schedule_id = $1 AND due_at >= $2 AND due_at < $3 AND state <> 'skipped'
"""
CANCEL = """
    UPDATE celery_schedule_backfills
    SET state = 'cancelled', note = $3, ended_at = now(), due_at = '{}'
    WHERE schedule_id = $1 AND id = $2 AND state = 'running'
"""
CANCEL_OF_OPERATION = """
    UPDATE celery_schedule_backfills
    SET state = 'cancelled', note = $2, ended_at = now(), due_at = '{}'
    WHERE operation_id = $1 AND state = 'running'
"""
FORGET = "DELETE FROM celery_schedule_backfills WHERE schedule_id = $1 AND ended_at < now() - $2::interval"
REMEMBERED = dt.timedelta(days=90)
AT_A_TIME = 50


class BackfillStore(Store):
    """Backfills, on one connection."""

    async def run_already(self, schedule_id: str, start: dt.datetime, end: dt.datetime) -> set[dt.datetime]:
        """Returns the due times from `start` on and before `end` that have a run which was not skipped."""
        return {row["due_at"] for row in await self._connection.fetch(RUN_ALREADY, schedule_id, start, end)}

    async def add(
        self, backfill: Backfill, due: Sequence[dt.datetime], once: Once | None, call_id: str
    ) -> Backfill:
        """Stores the backfill with its due times, in the order in which they will be sent.

        `call_id`: the request id of the call that began it; empty if it is not known.
        Also deletes the schedule's backfills that ended more than `REMEMBERED` ago.
        """
        await self._connection.execute(FORGET, backfill.schedule_id, REMEMBERED)
        row = await self._connection.fetchrow(
            ADD,
            backfill.id,
            backfill.schedule_id,
            backfill.start,
            backfill.end,
            backfill.newest_first,
            backfill.rate,
            backfill.actor,
            once and once.request_id,
            once and once.digest,
            due,
            backfill.run_count,
            backfill.first,
            backfill.last,
            call_id or None,
        )
        return _backfill_of(row)

    async def made_by(self, schedule_id: str, once: Once | None) -> Backfill | None:
        """Returns the backfill that the request began earlier, if there is one.

        Raises `Invalid` if another request had the same id.
        """
        row = await self._made_by(MADE_BY, schedule_id, once)
        return None if row is None else _backfill_of(row)

    async def running(self, schedule_id: str) -> Backfill | None:
        return await self._one("schedule_id = $1 AND state = 'running'", schedule_id)

    async def find(self, schedule_id: str, backfill_id: str) -> Backfill | None:
        return await self._one("schedule_id = $1 AND id = $2", schedule_id, backfill_id)

    async def with_ids(self, ids: Collection[str | None]) -> Mapping[str, Backfill]:
        """Returns the backfills that exist, of any schedule, by id."""
        rows = await self._connection.fetch(WITH_IDS, list(ids))
        return {row["id"]: _backfill_of(row) for row in rows}

    async def _one(self, condition: str, *values: str) -> Backfill | None:
        query = f"SELECT {COLUMNS} FROM celery_schedule_backfills WHERE {condition}"
        row = await self._connection.fetchrow(query, *values)
        return None if row is None else _backfill_of(row)

    async def list(
        self, schedule_id: str, before: tuple[dt.datetime, str] | None, most: int
    ) -> Sequence[Backfill]:
        """Returns backfills before (creation, id), newest first; an empty `schedule_id` means any."""
        values = Parameters()
        conditions: list[str] = ["true"]
        if schedule_id:
            conditions.append(f"schedule_id = {values.place(schedule_id)}")
        if before is not None:
            created, backfill = map(values.place, before)
            conditions.append(f"(created_at, id) < ({created}, {backfill})")
        query = (
            f"SELECT {COLUMNS} FROM celery_schedule_backfills WHERE {' AND '.join(conditions)}"
            f" ORDER BY created_at DESC, id DESC LIMIT {values.place(most)}"
        )
        # A few at a time: the event loop, which runs are published from, is not held up for a long page.
        cursor = await self._connection.cursor(query, *values)
        found: list[Backfill] = []
        while rows := await cursor.fetch(AT_A_TIME):
            found += map(_backfill_of, rows)
        return found

    async def cancel(self, schedule_id: str, backfill_id: str, note: str) -> None:
        """Cancels a running backfill; one that has ended stays as it is."""
        await self._connection.execute(CANCEL, schedule_id, backfill_id, note)

    async def cancel_of_operation(self, operation_id: str, note: str) -> None:
        """Cancels the running backfill of an operation. A trigger then cancels the operation."""
        await self._connection.execute(CANCEL_OF_OPERATION, operation_id, note)


def _backfill_of(row: Any) -> Backfill:
    return Backfill(
        schedule_id=row["schedule_id"],
        start=row["start_at"],
        end=row["end_at"],
        rate=row["rate"],
        newest_first=row["newest_first"],
        run_count=row["run_count"],
        first=row["first_due_at"],
        last=row["last_due_at"],
        actor=row["actor"],
        id=row["id"],
        state=BackfillState(row["state"]),
        note=row["note"],
        handled=row["handled"],
        sent=row["sent"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        operation_id=str(row["operation_id"]),
    )


READY = """
    SELECT schedule_id FROM celery_schedule_backfills
    WHERE state = 'running' AND next_at <= clock_timestamp() ORDER BY next_at LIMIT $1
"""
READY_BUT_NOT = """
    SELECT schedule_id FROM celery_schedule_backfills
    WHERE state = 'running' AND next_at <= clock_timestamp() AND schedule_id <> ALL ($2::text[])
    ORDER BY next_at LIMIT $1
"""
SECONDS_TO_NEXT = """
    SELECT extract(epoch FROM min(next_at) - clock_timestamp())::float8 FROM celery_schedule_backfills
    WHERE state = 'running'
"""
SECONDS_TO_NEXT_BUT_NOT = f"{SECONDS_TO_NEXT} AND schedule_id <> ALL ($1::text[])"
SCHEDULE = f"""
    SELECT id, overlap, version, {TASK_COLUMNS} FROM celery_schedules WHERE id = $1 FOR UPDATE SKIP LOCKED
"""
BACKFILL = """
    SELECT id, rate, actor, call_id, uuid_send(operation_id) AS task_namespace,
        due_at[handled + 1 : handled + $2] AS due,
        due_at[handled - $2 + 1 : handled] AS last
    FROM celery_schedule_backfills
    WHERE schedule_id = $1 AND state = 'running' AND next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
"""
# Whether a run of the previous step is not known to be published. A step before that one need not be checked:
# the previous step waited for it.
ON_THE_WAY = """
    SELECT EXISTS (
        SELECT FROM celery_schedule_runs r JOIN celery_schedule_batches b ON b.id = r.batch_id
        WHERE r.schedule_id = $1 AND r.due_at = ANY($2::timestamptz[]) AND r.backfill_id = $3
            AND r.state = 'batched' AND b.published_at IS NULL)
"""
# A skipped run is overwritten and sent now; a due time that was run meanwhile is left alone.
RECORD = """
    INSERT INTO celery_schedule_runs AS r
        (schedule_id, due_at, state, reason, exclusive, backfill_id, batch_id, task_namespace,
        schedule_version, call_id)
    SELECT $1, due_at, 'batched', $3, $4, $5, $6, $7, $8, $9 FROM unnest($2::timestamptz[]) AS due_at
    ON CONFLICT (schedule_id, due_at) DO UPDATE
    SET state = 'batched', reason = excluded.reason, exclusive = excluded.exclusive,
        backfill_id = excluded.backfill_id, recorded_at = now(), batch_id = excluded.batch_id,
        task_namespace = excluded.task_namespace, schedule_version = excluded.schedule_version,
        call_id = excluded.call_id
    WHERE r.state = 'skipped'
"""
THOSE_RUN_ALREADY = """
    SELECT due_at FROM celery_schedule_runs
    WHERE schedule_id = $1 AND due_at = ANY($2::timestamptz[]) AND state <> 'skipped'
"""
# After an outage the backfill makes up for at most one second of its rate.
MOVE_ON = """
    UPDATE celery_schedule_backfills
    SET handled = handled + $2, sent = sent + $3,
        next_at = greatest(next_at, clock_timestamp() - interval '1 second') + $4 * interval '1 second',
        state = CASE WHEN handled + $2 >= run_count THEN 'done' ELSE state END,
        ended_at = CASE WHEN handled + $2 >= run_count THEN now() END,
        due_at = CASE WHEN handled + $2 >= run_count THEN '{}' ELSE due_at END
    WHERE id = $1
"""
GIVE_UP = """
    UPDATE celery_schedule_backfills
    SET state = 'cancelled', note = $2, ended_at = now(), due_at = '{}' WHERE id = $1
"""


class Step(NamedTuple):
    """A backfill that is due to send runs. `template` is None, and `fault` says why, when the row of its
    schedule can't be read."""

    id: str
    rate: float
    actor: str
    # That of its runs' task ids. It is the backfill's own: if old runs were deleted, another backfill may
    # send the same due times, as other tasks.
    task_namespace: bytes
    # The next due times in the backfill's order, usually more than one step sends.
    due: Sequence[dt.datetime]
    exclusive: bool
    template: MessageTemplate | None
    fault: str = ""
    # That of its schedule.
    version: int | None = None
    # The request id of the call that began it; empty if it is not known.
    call_id: str = ""


class BackfillingStore(DispatchStore):
    """The progress of backfills, on one connection."""

    async def ready(self, most: int, but_not: Sequence[str] = ()) -> list[str]:
        """Returns the schedules whose backfills are due to send again, the longest waiting first.

        Schedules in `but_not` are not among them.
        """
        query, values = (READY_BUT_NOT, [most, but_not]) if but_not else (READY, [most])
        return [row["schedule_id"] for row in await self._connection.fetch(query, *values)]

    async def seconds_to_next(self, but_not: Sequence[str] = ()) -> float | None:
        """Returns the seconds until a backfill is due to send again, negative if late; None if none runs.

        Backfills of schedules in `but_not` do not count.
        """
        query, values = (SECONDS_TO_NEXT_BUT_NOT, [but_not]) if but_not else (SECONDS_TO_NEXT, [])
        seconds: float | None = await self._connection.fetchval(query, *values)
        return seconds

    async def locked(self, schedule_id: str, most: int) -> Step | None:
        """Locks the schedule and its running backfill. Returns the next step, with up to `most` due times.

        Returns None if another transaction has one of them locked, if the backfill is not due, or if runs of
        its last step are not known to be published: healed later, they would come out of order and above the
        rate. No step may ever take more due times than `most`: the last step is looked for among so many.
        """
        schedule = await self._connection.fetchrow(SCHEDULE, schedule_id)
        if schedule is None:
            return None
        row = await self._connection.fetchrow(BACKFILL, schedule_id, most)
        if row is None or await self._connection.fetchval(ON_THE_WAY, schedule_id, row["last"], row["id"]):
            return None
        template, fault = None, ""
        try:
            template = template_of(schedule)
        except RowUnreadable as error:
            fault = str(error)
        exclusive = schedule["overlap"] != "allow"
        backfill = row["id"], row["rate"], row["actor"], row["task_namespace"]
        version, call_id = schedule["version"], row["call_id"] or ""
        return Step(*backfill, row["due"], exclusive, template, fault, version, call_id)

    async def run_already(self, schedule_id: str, due: Sequence[dt.datetime]) -> set[dt.datetime]:
        """Returns the due times that have a run which was not skipped."""
        return {row["due_at"] for row in await self._connection.fetch(THOSE_RUN_ALREADY, schedule_id, due)}

    async def record(
        self, batch_id: int, schedule_id: str, step: Step, due: Sequence[dt.datetime], reason: str
    ) -> None:
        own = (
            reason,
            step.exclusive,
            step.id,
            batch_id,
            step.task_namespace,
            step.version,
            step.call_id or None,
        )
        await self._connection.execute(RECORD, schedule_id, due, *own)

    async def move_on(self, step: Step, handled: int, sent: int, seconds: float) -> None:
        """Counts due times as handled and sent; the next step is due `seconds` after this one was."""
        await self._connection.execute(MOVE_ON, step.id, handled, sent, seconds)

    async def give_up(self, step: Step, note: str) -> None:
        """Cancels the backfill for the reason in `note`."""
        await self._connection.execute(GIVE_UP, step.id, note)
