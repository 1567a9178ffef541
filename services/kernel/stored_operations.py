"""The operations of all services, read by SQLAlchemy sessions; and how a service begins one of its own."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import RowMapping, Uuid, bindparam, case, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.errors import NotFound
from services.kernel.operations import LOST_SECONDS, Operation, OperationState, cancelled_by
from services.kernel.tables import operations

c = operations.c
# Written as constants, since a partial index has them.
IS_RUNNING = c.state == literal_column("'running'")
IS_LOST = c.owner_seen_at < func.clock_timestamp() - literal_column(f"interval '{LOST_SECONDS} s'")
SHOWN_STATE = case(
    (~IS_RUNNING, c.state),
    (IS_LOST, literal_column("'owner_lost'")),
    (c.cancel_requested_at.is_not(None), literal_column("'cancelling'")),
    else_=c.state,
)
OPERATIONS = select(
    *(c.id, c.owner, c.kind, c.total, c.done, c.failed, c.metadata, c.resource, c.actor, c.note),
    *(c.created_at, c.updated_at, c.ended_at, c.cancel_requested_at, c.cancel_requested_by),
    SHOWN_STATE.label("state"),
    func.clock_timestamp().label("read_at"),
)
OPERATION = OPERATIONS.where(c.id == bindparam("id", type_=Uuid))

BEGIN = """
    INSERT INTO celery_operations (owner, kind, metadata, resource, actor, work)
    VALUES (:owner, :kind, CAST(:metadata AS jsonb), :resource, :actor, :work)
    ON CONFLICT (owner, kind, work) WHERE state = 'running' DO NOTHING
    RETURNING id
"""
SAME_WORK = """
    SELECT id, cancel_requested_by FROM celery_operations
    WHERE owner = :owner AND kind = :kind AND work = :work AND state = 'running'
"""
END_IF_EMPTY = """
    UPDATE celery_operations SET state = 'done', ended_at = clock_timestamp()
    WHERE id = CAST(:id AS uuid) AND state = 'running' AND total = 0
"""
CANCEL = "SELECT celery_operation_cancel(CAST(:id AS uuid), :note)"


@dataclass(frozen=True)
class NewOperation:
    """An operation to begin. Two of an owner with the same kind and `work` can't run at the same time."""

    owner: str
    kind: str
    work: str
    actor: str
    resource: str = ""
    # JSON values by names that are the kind's own.
    metadata: Mapping[str, Any] = field(default_factory=dict)


class OperationStore:
    """Reads operations of all services, and begins those of the caller's own, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, operation_id: str) -> Operation:
        """Returns the operation with this id, which is a UUID. Raises `NotFound`."""
        rows = await self._session.execute(OPERATION, {"id": uuid.UUID(operation_id)})
        row = rows.mappings().one_or_none()
        if row is None:
            raise NotFound("operation", f"operations/{operation_id}")
        return operation_of(row)

    async def begin(self, new: NewOperation) -> tuple[str, bool]:
        """Returns the id of the running operation with this work, and whether it was begun by this call.

        The caller stores the work of a new one in the same transaction, which sets its total, and then calls
        `end_if_empty`. A running operation whose end is asked for is cancelled first: whoever asks for the
        work now does not want the rest of that one.
        """
        work = {"owner": new.owner, "kind": new.kind, "work": new.work}
        values = {**work, "resource": new.resource, "actor": new.actor}
        values["metadata"] = orjson.dumps(dict(new.metadata)).decode()
        while True:
            begun = await self._session.scalar(text(BEGIN), values)
            if begun is not None:
                return str(begun), True
            same = (await self._session.execute(text(SAME_WORK), work)).one_or_none()
            if same is None:
                # It has ended between the two statements.
                continue
            if same.cancel_requested_by is None:
                return str(same.id), False
            note = cancelled_by(same.cancel_requested_by)
            await self._session.execute(text(CANCEL), {"id": str(same.id), "note": note})

    async def end_if_empty(self, operation_id: str) -> None:
        """Ends a new operation that has no units of work."""
        await self._session.execute(text(END_IF_EMPTY), {"id": operation_id})


def operation_of(row: RowMapping) -> Operation:
    """Returns the operation in a row of OPERATIONS."""
    return Operation(
        id=str(row["id"]),
        owner=row["owner"],
        kind=row["kind"],
        state=OperationState(row["state"]),
        total=row["total"],
        done=row["done"],
        failed=row["failed"],
        metadata=row["metadata"],
        resource=row["resource"],
        actor=row["actor"],
        note=row["note"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
        cancel_requested_at=row["cancel_requested_at"],
        cancel_requested_by=row["cancel_requested_by"] or "",
        read_at=row["read_at"],
    )
