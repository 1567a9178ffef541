"""The log's SQL. Appending is one writer at a time; everything else reads."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.audit.entries import MORE_TEXTS, TEXTS, Entry
from services.audit.merkle import Tree
from services.audit.records import Outcome, Record, RecordFilter, outcome_of
from services.audit.state import StoredCheckpoint, StoredEnd

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
RECORDS = """
    SELECT e.index, e.event_id, e.kind, e.time, e.actor, e.role, e.issuer, e.method, e.resource,
           e.address, e.user_agent, e.request_id,
           CASE WHEN e.kind = 'refusal' THEN e.code ELSE o.code END AS code,
           CASE WHEN e.kind = 'refusal' THEN e.message ELSE o.message END AS message,
           CASE WHEN e.kind = 'refusal' THEN e.duration_ms ELSE o.duration_ms END AS duration_ms
           {more}
    FROM celery_audit_logs e
    LEFT JOIN celery_audit_logs o ON o.event_id = e.event_id AND o.kind = 'outcome'
    WHERE e.kind <> 'outcome'
"""
OUTCOMES = {
    Outcome.OK: "o.code = 'OK'",
    Outcome.FAILED: "o.code NOT IN ('OK', 'PERMISSION_DENIED', 'UNAUTHENTICATED')",
    Outcome.REFUSED: "(e.kind = 'refusal' OR o.code IN ('PERMISSION_DENIED', 'UNAUTHENTICATED'))",
    Outcome.UNKNOWN: "(e.kind = 'intent' AND o.code IS NULL)",
}


class LogStore:
    """Entries, checkpoints and records, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_for_append(self) -> None:
        """Waits until no other replica appends; released with the transaction."""
        await self._session.execute(text("SELECT pg_advisory_xact_lock(hashtext('celery_audit_logs'))"))

    async def end(self) -> StoredEnd:
        """The newest checkpoint and the last entry, from one snapshot."""
        row = (await self._session.execute(text(END))).one()
        checkpoint = None if row.size is None else _checkpoint(row)
        return StoredEnd(checkpoint, row.last_index)

    async def leaves(self, first: int, end: int, batch: int) -> AsyncIterator[Sequence[bytes]]:
        """The stored leaf hashes of the entries from `first` to before `end`, by index, in batches."""
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
        """Which of the entries are in the log already."""
        rows = await self._session.execute(
            text("SELECT event_id, kind FROM celery_audit_logs WHERE event_id = ANY(:ids)"),
            {"ids": [entry.event_id for entry in entries]},
        )
        return {(row.event_id, row.kind) for row in rows}

    async def append(self, first: int, entries: Sequence[Entry], leaves: Sequence[bytes]) -> None:
        """By COPY, in the session's transaction: a batch costs half of what as many INSERTs do."""
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
        """Events with an index below `before`, newest first."""
        conditions, values = _conditions(wanted)
        if before is not None:
            conditions.append("e.index < :before")
            values["before"] = before
        query = RECORDS.format(more="") + "".join(f" AND {condition}" for condition in conditions)
        rows = await self._session.execute(
            text(query + " ORDER BY e.index DESC LIMIT :most"), {**values, "most": most}
        )
        return [_record(row) for row in rows]

    async def get_record(self, event_id: uuid.UUID) -> Record | None:
        query = RECORDS.format(more=", e.body") + " AND e.event_id = :id"
        row = (await self._session.execute(text(query), {"id": event_id})).one_or_none()
        return None if row is None else _record(row)

    async def in_order(self, batch: int) -> AsyncIterator[Sequence[dict[str, Any]]]:
        """Every entry as it is stored, by index, in batches, from one snapshot."""
        columns = ", ".join(("index", "leaf_hash", *COLUMNS))
        result = await self._session.stream(
            text(f"SELECT {columns} FROM celery_audit_logs ORDER BY index"),
            execution_options={"yield_per": batch},
        )
        async for rows in result.mappings().partitions():
            yield [dict(row) for row in rows]

    async def checkpoints(self, batch: int) -> AsyncIterator[Sequence[StoredCheckpoint]]:
        """Every checkpoint as it is stored, by size, in batches."""
        result = await self._session.stream(
            text("SELECT size, root, frontier, note, time FROM celery_audit_checkpoints ORDER BY size"),
            execution_options={"yield_per": batch},
        )
        async for rows in result.partitions():
            yield [_checkpoint(row) for row in rows]


def _checkpoint(row: Any) -> StoredCheckpoint:
    # An element that is NULL, or an array itself, is no node: without bytes it fits no tree.
    nodes = tuple(node if isinstance(node, bytes) else b"" for node in row.frontier)
    return StoredCheckpoint(row.size, bytes(row.root), nodes, row.note, row.time)


def _conditions(wanted: RecordFilter) -> tuple[list[str], dict[str, Any]]:
    conditions, values = [], {}
    for name in ("actor", "resource", "address"):
        if getattr(wanted, name):
            conditions.append(f"e.{name} = :{name}")
            values[name] = getattr(wanted, name)
    if wanted.method:
        # A whole method path is found by its index; the end of one by comparing.
        whole = wanted.method.startswith("/")
        conditions.append("e.method = :method" if whole else "right(e.method, length(:method)) = :method")
        values["method"] = wanted.method
    if wanted.outcome is not None:
        conditions.append(OUTCOMES[wanted.outcome])
    if wanted.start is not None:
        conditions.append("e.time >= :start")
        values["start"] = wanted.start
    if wanted.end is not None:
        conditions.append("e.time < :end")
        values["end"] = wanted.end
    return conditions, values


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
        request_json=request,
    )
