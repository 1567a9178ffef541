"""Long work of a service: what an operation is, and what its owner does for it.

The owner of an operation is the service that does its work; only its database role may write the row.
Progress is written by triggers on the owner's own tables, in the transaction that does a part of the work;
the kernel's migration 0001 has the functions that they call. Each process of the owner runs `Owner`, which

1. gives signs of life for the running operations of its service, so that it is seen when no process is left;
2. cancels those whose end was asked for: a notification wakes it, and it also looks at each sign of life;
3. deletes those that ended long ago.

docs/decisions/kernel-operations.md says why there is one table, and who may write what.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import structlog

from services.kernel.database import Connection, Database
from services.kernel.endings import to_the_end
from services.kernel.loops import Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# Its payload is the owner of the operation whose end is asked for.
CANCEL_CHANNEL = "celery_operations_cancel"
# An owner that has given no sign of life for this long is shown as lost.
LOST_SECONDS = 60
# Operations are kept for this long after their end.
KEPT = dt.timedelta(days=30)
# The most that are deleted at a time: their rows in the owner's tables are deleted with them.
FORGOTTEN_AT_ONCE = 100

# The return of an owner that was lost is a change, which readers are told of; other signs of life are none.
SEEN = f"""
    UPDATE celery_operations AS operation
    SET owner_seen_at = clock_timestamp()
    FROM (
        SELECT id FROM celery_operations
        WHERE owner = $1 AND state = 'running'
            AND owner_seen_at >= clock_timestamp() - interval '{LOST_SECONDS} s'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS own
    WHERE operation.id = own.id
"""
BACK = f"""
    UPDATE celery_operations AS operation
    SET owner_seen_at = clock_timestamp(), updated_at = clock_timestamp()
    FROM (
        SELECT id FROM celery_operations
        WHERE owner = $1 AND state = 'running'
            AND owner_seen_at < clock_timestamp() - interval '{LOST_SECONDS} s'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS own
    WHERE operation.id = own.id
"""
REQUESTED = """
    SELECT id, cancel_requested_by FROM celery_operations
    WHERE owner = $1 AND state = 'running' AND cancel_requested_at IS NOT NULL
"""
CANCEL = "SELECT celery_operation_cancel($1, $2)"
FORGET = """
    WITH old AS (
        DELETE FROM celery_operations WHERE id = ANY (ARRAY(
            SELECT id FROM celery_operations
            WHERE owner = $1 AND ended_at < now() - $2::interval
            ORDER BY ended_at LIMIT $3 FOR UPDATE SKIP LOCKED
        ))
        RETURNING id
    )
    SELECT count(*) FROM old
"""


class OperationState(Enum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    # These two are never stored; they tell more of an operation that is stored as running.
    CANCELLING = "cancelling"
    OWNER_LOST = "owner_lost"

    @property
    def ended(self) -> bool:
        return self in (OperationState.DONE, OperationState.CANCELLED)


@dataclass(frozen=True)
class Operation:
    """An operation as it was at `read_at`, by the database's clock. Its units of work depend on its kind."""

    id: str
    owner: str
    kind: str
    state: OperationState
    total: int
    done: int
    failed: int
    metadata: Mapping[str, Any]
    resource: str
    actor: str
    note: str
    created_at: dt.datetime
    updated_at: dt.datetime
    ended_at: dt.datetime | None
    cancel_requested_at: dt.datetime | None
    cancel_requested_by: str
    read_at: dt.datetime

    @property
    def rate(self) -> float:
        """Units finished per second since the start."""
        seconds = ((self.ended_at or self.read_at) - self.created_at).total_seconds()
        return self.done / seconds if seconds > 0 else 0.0


# Ends the work of an operation in the owner's own tables, in the transaction that cancels the operation. Its
# arguments are the id of the operation and the note that says who cancelled it.
Stop = Callable[[Connection, str, str], Awaitable[None]]


def cancelled_by(actor: str) -> str:
    """Returns the note of an operation that somebody cancelled."""
    return f"cancelled by {actor}"


class Owner:
    """What a process does for the operations of its service. Every replica does so.

    `stop` may be None if the work looks at the state of its operation by itself.
    """

    def __init__(
        self, database: Database, service: str, stop: Stop | None = None, pace: Pace = USUAL
    ) -> None:
        self._database = database
        self._service = service
        self._stop = stop
        self._woken = asyncio.Event()
        self.loop = Loop(
            "operations",
            self.look,
            every=pace.operations_look,
            outlives=DATABASE_ERRORS,
            failed="operations.not_looked",
            woken=self._woken,
        )

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return self.loop.heartbeats

    async def run(self) -> None:
        async with self._database.listening(CANCEL_CHANNEL) as notices, asyncio.TaskGroup() as group:
            group.create_task(to_the_end(self.loop.run()))
            async for owner in notices:
                if owner in ("", self._service):
                    self._woken.set()

    async def look(self) -> None:
        """Gives a sign of life, cancels what is to be cancelled, and deletes what is old."""
        async with self._database.transaction() as connection:
            await connection.execute(SEEN, self._service)
            await connection.execute(BACK, self._service)
            requested = await connection.fetch(REQUESTED, self._service)
        for row in requested:
            await self._cancel(str(row["id"]), cancelled_by(row["cancel_requested_by"]))
        async with self._database.transaction() as connection:
            await forget_ended(connection, self._service)

    async def _cancel(self, operation_id: str, note: str) -> None:
        async with self._database.transaction() as connection:
            if self._stop is not None:
                await self._stop(connection, operation_id, note)
            await connection.execute(CANCEL, operation_id, note)
        log.info("operation.cancelled", operation=operation_id)


async def forget_ended(connection: Connection, service: str) -> int:
    """Deletes some of the service's operations that ended more than KEPT ago. Returns how many."""
    forgotten: int = await connection.fetchval(FORGET, service, KEPT, FORGOTTEN_AT_ONCE)
    return forgotten
