"""The SQL of halts: the one row, and the work under way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from services.kernel.database import Connection
from services.monitor.halting.halt import Halt, Kind, Step, Work
from services.monitor.tasks.names import WorkerName

GET = "SELECT stopped_at, stopped_by, shut_down, scheduler_sends FROM celery_halt"
STOP = """
    UPDATE celery_halt SET stopped_at = coalesce(stopped_at, clock_timestamp()),
        stopped_by = CASE WHEN stopped_at IS NULL THEN $1 ELSE stopped_by END,
        shut_down = shut_down OR $2
"""
GO_ON = "UPDATE celery_halt SET stopped_at = NULL, stopped_by = '', shut_down = false"
TOLD = "UPDATE celery_halt SET scheduler_sends = $1"
BEGIN = """
    INSERT INTO celery_operations (owner, kind, metadata, actor, work, total)
    VALUES ('monitor', $1, $2::jsonb, $3, '', $4) RETURNING id
"""
# Only one work on the workers at a time: a newer one takes the place of those under way.
CANCEL_OTHERS = "SELECT celery_operation_cancel(operation, $1) FROM celery_halt_works"
FORGET_ALL = "DELETE FROM celery_halt_works"
ADD_WORK = """
    INSERT INTO celery_halt_works (operation, kind, until, patience, steps)
    VALUES ($1::uuid, $2, clock_timestamp() + make_interval(secs => $3), $4, $5::jsonb)
"""
WORK = """
    SELECT operation, work.kind, until, patience, steps, clock_timestamp() >= until AS late
    FROM celery_halt_works AS work
    JOIN celery_operations ON id = operation AND state = 'running' AND cancel_requested_at IS NULL
"""
SAVE = "UPDATE celery_halt_works SET steps = $2::jsonb WHERE operation = $1::uuid"
TELL = "UPDATE celery_operations SET metadata = metadata || $2::jsonb WHERE id = $1::uuid"
ADVANCE = "SELECT celery_operation_advance($1::uuid, $2, $3)"
CANCEL = "SELECT celery_operation_cancel($1::uuid, $2)"
FORGET = "DELETE FROM celery_halt_works WHERE operation = $1::uuid"


class HaltStore:
    """Reads and writes over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self) -> Halt:
        return Halt(**await self._connection.fetchrow(GET))

    async def stop(self, actor: str, *, shut_down: bool = False) -> None:
        """One that holds already goes on to hold since then; a shutdown stays one."""
        await self._connection.execute(STOP, actor, shut_down)

    async def go_on(self) -> None:
        await self._connection.execute(GO_ON)

    async def scheduler_told(self, sends: bool) -> None:
        await self._connection.execute(TOLD, sends)

    async def begin(
        self, kind: Kind, actor: str, seconds: float, patience: float, workers: Sequence[WorkerName]
    ) -> str:
        """Begins work on the workers, in place of what is under way. Returns the operation's id."""
        await self._connection.fetch(CANCEL_OTHERS, f"{kind.value} was begun by {actor}")
        await self._connection.execute(FORGET_ALL)
        steps = [Step(worker) for worker in workers]
        values = kind.value, _json(_shown(steps)), actor, len(steps)
        operation = str(await self._connection.fetchval(BEGIN, *values))
        if steps:
            stored = _json([step.dump() for step in steps])
            await self._connection.execute(ADD_WORK, operation, kind.value, seconds, patience, stored)
        else:
            await self._connection.fetchval(ADVANCE, operation, 0, 0)
        return operation

    async def work(self) -> tuple[Work, bool] | None:
        """Returns the work under way, and whether its time is over; None if there is none."""
        row = await self._connection.fetchrow(WORK)
        if row is None:
            await self._connection.execute(FORGET_ALL)
            return None
        steps = [Step.load(each) for each in orjson.loads(row["steps"])]
        until: dt.datetime = row["until"]
        work = Work(str(row["operation"]), Kind(row["kind"]), until, row["patience"], steps)
        return work, row["late"]

    async def save(self, work: Work, ended: int, failed: int) -> None:
        """Writes the steps, and that so many more are over, of which so many failed."""
        stored = _json([step.dump() for step in work.steps])
        await self._connection.execute(SAVE, work.operation, stored)
        await self._connection.execute(TELL, work.operation, _json(_shown(work.steps)))
        if ended:
            await self._connection.fetchval(ADVANCE, work.operation, ended, failed)

    async def give_up(self, work: Work, note: str) -> None:
        await self._connection.fetchval(CANCEL, work.operation, note)
        await self._connection.execute(FORGET, work.operation)


def _shown(steps: Sequence[Step]) -> Mapping[str, Any]:
    """The operation's metadata: what is known of each worker."""
    return {"workers": {f"workers/{step.worker}": step.words for step in steps}}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
