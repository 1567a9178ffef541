"""The log's SQL. Only one replica at a time appends; everything else only reads."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    CompoundSelect,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.audit.entries import MORE_TEXTS, TEXTS, Entry
from services.audit.merkle import Tree
from services.audit.records import Outcome, Record, RecordFilter, outcome_of
from services.audit.state import StoredCheckpoint, StoredEnd
from services.audit.tables import logs

COLUMNS = ("event_id", "kind", "time", *TEXTS, *MORE_TEXTS, "duration_ms", "body")
INSERTED = ("index", "leaf_hash", *COLUMNS)
column_values = attrgetter(*COLUMNS)
END = """
    SELECT newest.*, (SELECT max(index) FROM celery_audit_logs) AS last_index
    FROM (VALUES (1)) AS one
    LEFT JOIN (
        SELECT size, root, frontier, note, time FROM celery_audit_checkpoints ORDER BY size DESC LIMIT 1
    ) newest ON true
"""
IN_ORDER = select(*(logs.c[name] for name in INSERTED)).order_by(logs.c.index)

# A record joins the entry that stands for its event with the entry of its outcome, if there is one.
event, outcome = logs.alias("event"), logs.alias("outcome")
# Constants in the statement, not parameters: only then can the planner use the partial indexes.
OUTCOME = literal_column("'outcome'", Text)
IS_INTENT, IS_REFUSAL = (event.c.kind == literal_column(f"'{kind}'", Text) for kind in ("intent", "refusal"))
# The condition of the index on the resources of answers; most answers name none.
result = logs.alias("result")
IS_RESULT = (result.c.kind == OUTCOME) & (result.c.resource != literal_column("''", Text))
REFUSED_CODES = ("PERMISSION_DENIED", "UNAUTHENTICATED")


def _of_outcome(name: str) -> ColumnElement[Any]:
    """Returns the column of the outcome's entry; for a refusal, that of its only entry."""
    return case((IS_REFUSAL, event.c[name]), else_=outcome.c[name]).label(name)


RECORDS = (
    select(
        *(event.c.index, event.c.event_id, event.c.kind, event.c.time, event.c.actor, event.c.role),
        *(event.c.issuer, event.c.method, event.c.resource),
        *(event.c.address, event.c.user_agent, event.c.request_id),
        *(_of_outcome("code"), _of_outcome("message"), _of_outcome("duration_ms")),
        outcome.c.resource.label("result"),
    )
    .join_from(
        event, outcome, (outcome.c.event_id == event.c.event_id) & (outcome.c.kind == OUTCOME), isouter=True
    )
    .where(event.c.kind != OUTCOME)
)
NEWEST_FIRST = RECORDS.order_by(event.c.index.desc())
RECORD = RECORDS.add_columns(event.c.body).where(event.c.event_id == bindparam("id"))
OUTCOMES: dict[Outcome, ColumnElement[bool]] = {
    Outcome.OK: outcome.c.code == "OK",
    Outcome.FAILED: outcome.c.code.not_in(("OK", *REFUSED_CODES)),
    Outcome.REFUSED: IS_REFUSAL | outcome.c.code.in_(REFUSED_CODES),
    Outcome.UNKNOWN: IS_INTENT & outcome.c.code.is_(None),
}


def _one_of(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    # With "=" the planner reads the newest rows from the column's index, in order; with IN it can't.
    return column == values[0] if len(values) == 1 else column.in_(values)


def _is_method(wanted: str) -> ColumnElement[bool]:
    if wanted.startswith("/"):
        return event.c.method == wanted
    # A whole path is found by the index on `method`; the end of a path is compared row by row.
    return func.right(event.c.method, func.length(wanted)) == wanted


def listing(wanted: RecordFilter, before: int | None, most: int) -> Select[Any] | CompoundSelect[Any]:
    """Returns the query for records with an index below `before`, newest first.

    The resource of a request and that of its answer have an index each, so each has a branch of its own.
    """
    common = _conditions(wanted, before)
    if not wanted.resources:
        return NEWEST_FIRST.where(*common).limit(most)
    asked_of = _one_of(event.c.resource, wanted.resources)
    # As an array, and ordered by an expression: the planner then reads the events by their ids, and not all
    # events in the order of the page.
    answering = select(result.c.event_id).where(IS_RESULT, _one_of(result.c.resource, wanted.resources))
    answered = event.c.event_id == any_(func.array(answering.scalar_subquery(), type_=ARRAY(Uuid)))
    in_requests = NEWEST_FIRST.where(asked_of, *common)
    in_answers = RECORDS.where(answered, not_(asked_of), *common).order_by((event.c.index + 0).desc())
    return union_all(in_requests.limit(most), in_answers.limit(most)).order_by(text("index DESC")).limit(most)


def _conditions(wanted: RecordFilter, before: int | None) -> list[ColumnElement[bool]]:
    """Returns the conditions of all filters but that of resources."""
    exact = (event.c.actor, wanted.actors), (event.c.address, wanted.addresses)
    conditions = [_one_of(column, values) for column, values in exact if values]
    if wanted.methods:
        conditions.append(or_(*map(_is_method, wanted.methods)))
    if wanted.outcomes:
        conditions.append(or_(*(OUTCOMES[outcome] for outcome in wanted.outcomes)))
    if wanted.start is not None:
        conditions.append(event.c.time >= wanted.start)
    if wanted.end is not None:
        conditions.append(event.c.time < wanted.end)
    if before is not None:
        conditions.append(event.c.index < before)
    return conditions


class LogStore:
    """Entries, checkpoints and records, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_for_append(self) -> None:
        """Waits until no other replica appends. The lock is released at the end of the transaction."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(hashtext('celery_audit_logs'))"))

    async def end(self) -> StoredEnd:
        """Returns the newest checkpoint and the index of the last entry, from one snapshot."""
        row = (await self._session.execute(text(END))).one()
        checkpoint = None if row.size is None else _checkpoint(row)
        return StoredEnd(checkpoint, row.last_index)

    async def leaves(self, first: int, end: int, batch: int) -> AsyncIterator[Sequence[bytes]]:
        """Yields the stored leaf hashes of the entries from `first` to before `end`, in batches."""
        result = await self._session.stream(
            text(
                "SELECT leaf_hash FROM celery_audit_logs"
                " WHERE index >= :first AND index < :end ORDER BY index"
            ),
            {"first": first, "end": end},
            execution_options={"yield_per": batch},
        )
        async for rows in result.partitions():
            yield [bytes(row.leaf_hash) for row in rows]

    async def known(self, entries: Sequence[Entry]) -> set[tuple[uuid.UUID, str]]:
        """Returns (event id, kind) of the entries in the log that belong to the events of these entries."""
        rows = await self._session.execute(
            text("SELECT event_id, kind FROM celery_audit_logs WHERE event_id = ANY(:ids)"),
            {"ids": [entry.event_id for entry in entries]},
        )
        return {(row.event_id, row.kind) for row in rows}

    async def append(self, first: int, entries: Sequence[Entry], leaves: Sequence[bytes]) -> None:
        """Appends entries by COPY, in the session's transaction: this costs half of what INSERTs would."""
        rows = [
            (index, leaf, *column_values(entry))
            for index, (entry, leaf) in enumerate(zip(entries, leaves, strict=True), first)
        ]
        connection = await self._session.connection()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.copy_records_to_table("celery_audit_logs", records=rows, columns=INSERTED)

    async def put_checkpoint(self, tree: Tree, note: str) -> None:
        await self._session.execute(
            text(
                "INSERT INTO celery_audit_checkpoints (size, root, frontier, note)"
                " VALUES (:size, :root, :frontier, :note)"
            ),
            {"size": tree.size, "root": tree.root(), "frontier": list(tree.frontier), "note": note},
        )

    async def list_records(self, wanted: RecordFilter, before: int | None, most: int) -> list[Record]:
        """Returns records with an index below `before`, newest first."""
        rows = await self._session.execute(listing(wanted, before, most))
        return [_record(row) for row in rows]

    async def get_record(self, event_id: uuid.UUID) -> Record | None:
        row = (await self._session.execute(RECORD, {"id": event_id})).one_or_none()
        return None if row is None else _record(row)

    async def in_order(self, batch: int) -> AsyncIterator[Sequence[dict[str, Any]]]:
        """Yields every entry as it is stored, ordered by index, in batches, from one snapshot."""
        result = await self._session.stream(IN_ORDER, execution_options={"yield_per": batch})
        async for rows in result.mappings().partitions():
            yield [dict(row) for row in rows]

    async def checkpoints(self, batch: int) -> AsyncIterator[Sequence[StoredCheckpoint]]:
        """Yields every checkpoint as it is stored, ordered by size, in batches."""
        result = await self._session.stream(
            text("SELECT size, root, frontier, note, time FROM celery_audit_checkpoints ORDER BY size"),
            execution_options={"yield_per": batch},
        )
        async for rows in result.partitions():
            yield [_checkpoint(row) for row in rows]


def _checkpoint(row: Any) -> StoredCheckpoint:
    # An element that is NULL or an array is not a node. It becomes empty bytes, which match no tree.
    nodes = tuple(node if isinstance(node, bytes) else b"" for node in row.frontier)
    return StoredCheckpoint(row.size, bytes(row.root), nodes, row.note, row.time)


def _record(row: Any) -> Record:
    body = getattr(row, "body", None)
    request = json.dumps(json.loads(bytes(body)).get("request", {}), ensure_ascii=False) if body else ""
    return Record(
        index=row.index,
        id=row.event_id,
        time=row.time,
        actor=row.actor,
        role=row.role,
        issuer=row.issuer,
        method=row.method,
        resource=row.resource,
        outcome=outcome_of(row.kind, row.code),
        code=row.code or "",
        message=row.message or "",
        address=row.address,
        user_agent=row.user_agent,
        request_id=row.request_id,
        duration_ms=row.duration_ms,
        result=row.result or "",
        request_json=request,
    )
