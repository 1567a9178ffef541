"""The SQL of operations for OperationService: lists, changes that a reader has not seen, requests to cancel.

The monitor's database role may read all operations, and may write who asked for the end of one, nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    literal,
    or_,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel import stored_operations
from services.kernel.operations import Operation, OperationState
from services.kernel.pages import Place
from services.kernel.snapshots import NOW, ORIGIN, Snapshot
from services.kernel.stored_operations import IS_LOST, IS_RUNNING, OPERATIONS, operation_of
from services.kernel.tables import TransactionId, operations

c = operations.c
NEWEST_FIRST = OPERATIONS.order_by(c.created_at.desc(), c.id.desc())
# Changes of the transactions that a snapshot does not see: those that were in progress, and those that began
# later.
UNSEEN = OPERATIONS.where(
    or_(
        c.txid >= cast(bindparam("xmax", type_=Text), TransactionId),
        c.txid == any_(cast(bindparam("under_way", type_=ARRAY(Text)), ARRAY(TransactionId))),
    )
).order_by(c.txid, c.id)
LOST = OPERATIONS.where(IS_RUNNING, IS_LOST)
# What tells the states of running operations from each other.
UNENDED = {
    OperationState.RUNNING: and_(~IS_LOST, c.cancel_requested_at.is_(None)),
    OperationState.CANCELLING: and_(~IS_LOST, c.cancel_requested_at.is_not(None)),
    OperationState.OWNER_LOST: IS_LOST,
}
HEAD = f"SELECT {ORIGIN} AS origin, {NOW} AS now"
REQUEST_CANCEL = """
    UPDATE celery_operations SET cancel_requested_at = clock_timestamp(), cancel_requested_by = :actor
    WHERE id = CAST(:id AS uuid) AND state = 'running' AND cancel_requested_at IS NULL
"""


@dataclass(frozen=True)
class OperationFilter:
    """Which operations to find. An empty set matches any."""

    owners: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    states: frozenset[OperationState] = frozenset()

    def matches(self, operation: Operation) -> bool:
        """Whether owner and kind match; both stay as they are for the life of an operation."""
        return (not self.owners or operation.owner in self.owners) and (
            not self.kinds or operation.kind in self.kinds
        )


class Head(NamedTuple):
    """The database and its timeline, and its present snapshot."""

    origin: str
    now: Snapshot


def listing(wanted: OperationFilter, before: Place | None, most: int) -> Select[Any]:
    """Returns the query for operations before (created, id), newest first."""
    query = NEWEST_FIRST.limit(most)
    for column, values in ((c.owner, wanted.owners), (c.kind, wanted.kinds)):
        if values:
            query = query.where(column == any_(literal(sorted(values), ARRAY(Text))))
    if wanted.states:
        query = query.where(_in(wanted.states))
    if before is not None:
        query = query.where(tuple_(c.created_at, c.id) < (before[0], uuid.UUID(before[1])))
    return query


def _in(states: frozenset[OperationState]) -> ColumnElement[bool]:
    """Returns the condition for operations that are shown in one of the states.

    By the columns, not by SHOWN_STATE: of an expression PostgreSQL knows not how many rows it is true for.
    """
    ended = sorted(state.value for state in states if state.ended)
    unended = frozenset(state for state in states if not state.ended)
    conditions: list[ColumnElement[bool]] = []
    if ended:
        conditions.append(c.state == any_(literal(ended, ARRAY(Text))))
    if unended == frozenset(UNENDED):
        conditions.append(IS_RUNNING)
    elif unended:
        conditions.append(and_(IS_RUNNING, or_(*(UNENDED[state] for state in unended))))
    return or_(*conditions)


class OperationStore(stored_operations.OperationStore):
    """Reads operations, and writes requests to cancel them, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(session)
        self._session = session

    async def list(self, wanted: OperationFilter, before: Place | None, most: int) -> Sequence[Operation]:
        """Returns operations before (created, id), newest first."""
        rows = await self._session.execute(listing(wanted, before, most))
        return [operation_of(row) for row in rows.mappings()]

    async def request_cancel(self, operation_id: str, actor: str) -> Operation:
        """Asks the owner of a running operation to end it. Returns the operation; raises `NotFound`.

        One that has ended, or whose end somebody asked for before, stays as it is.
        """
        await self._session.execute(text(REQUEST_CANCEL), {"id": operation_id, "actor": actor})
        return await self.get(operation_id)

    async def head(self) -> Head:
        row = (await self._session.execute(text(HEAD))).one()
        return Head(row.origin, Snapshot.parse(row.now))

    async def unseen(self, seen: Snapshot, most: int | None = None) -> Sequence[Operation]:
        """Returns up to `most` operations that changed since the snapshot, the earliest changed first."""
        values = {"xmax": str(seen.xmax), "under_way": list(map(str, seen.under_way))}
        rows = await self._session.execute(UNSEEN.limit(most), values)
        return [operation_of(row) for row in rows.mappings()]

    async def lost(self) -> Sequence[Operation]:
        """Returns the running operations whose owner gives no sign of life."""
        return [operation_of(row) for row in (await self._session.execute(LOST)).mappings()]
