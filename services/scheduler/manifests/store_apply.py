"""The SQL that applies a manifest: many schedules at a time, on one connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import asyncpg

from services.kernel.database import LOCK_SECONDS, Connection
from services.kernel.errors import AlreadyExists, Locked
from services.scheduler.schedule.definition import Definition, Schedule
from services.scheduler.schedule.rows import COLUMN_TYPES, schedule_of, values_of
from services.scheduler.schedule.store_base import Store

# The key of the lock that lets one manifest be applied at a time: two would wait for each other's rows.
APPLYING = 0x6365_6C65_7269_6163
# When the transaction that holds the lock began.
APPLYING_SINCE = """
    SELECT xact_start FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (classid::bigint << 32) + objid::bigint = $1
"""
# The most rows of one statement: encoding more of them would block the event loop for too long.
ROWS_AT_ONCE = 1000

Timed = tuple[Definition, dt.datetime | None]
LABELLED = """
    id = ANY(ARRAY(
        SELECT schedule_id FROM celery_schedule_facets
        WHERE facet = celery_schedule_facet('label ' || $2::text, $3::text)))
    AND labels ->> $2::text = $3::text
"""

# Each parameter is a column: $1 holds the first column of COLUMN_TYPES for all rows, and so on.
_ROWS = "unnest({}) AS wanted ({})".format(
    ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(COLUMN_TYPES.values(), 1)),
    ", ".join(COLUMN_TYPES),
)
INSERT = f"INSERT INTO celery_schedules ({', '.join(COLUMN_TYPES)}) SELECT * FROM {_ROWS}"
UPDATE = f"""
    UPDATE celery_schedules AS stored
    SET {", ".join(f"{name} = wanted.{name}" for name in COLUMN_TYPES if name != "id")},
        version = stored.version + 1, updated_at = now()
    FROM {_ROWS} WHERE stored.id = wanted.id
"""


# The number of deletions, the mark of the newest, and the mark that changes when old ones are forgotten.
DELETIONS = """
    WITH wanted AS (
        SELECT celery_schedule_deletion_bucket('id', id) AS bucket FROM unnest($1::text[]) AS id
        UNION
        SELECT celery_schedule_deletion_bucket('label ' || $2::text, $3::text) WHERE $2::text IS NOT NULL
    ), found AS (
        SELECT count(*) AS count, max(seq) AS newest
        FROM celery_schedule_deletions JOIN wanted USING (bucket)
    )
    SELECT mark::text FROM celery_schedule_deletions
    WHERE bucket = -1 OR seq = (SELECT newest FROM found)
    UNION ALL
    SELECT count::text FROM found
    ORDER BY 1
"""
FORGET = """
    WITH old AS (
        DELETE FROM celery_schedule_deletions WHERE seq IN (
            SELECT seq FROM celery_schedule_deletions
            WHERE bucket >= 0 AND deleted_at < now() - $1::interval
            ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING 1
    ), told AS (
        UPDATE celery_schedule_deletions SET mark = gen_random_uuid()
        WHERE bucket = -1 AND EXISTS (SELECT FROM old)
    )
    SELECT count(*) FROM old
"""


class SetStore(Store):
    """Locks and writes sets of schedules."""

    async def alone(self) -> None:
        """Waits until no other set is being applied; others then wait until this transaction ends.

        Raises `Locked` after LOCK_SECONDS.
        """
        try:
            # Within a savepoint, so that the transaction can still be asked who holds the lock.
            async with self._connection.transaction():
                await self._connection.execute("SELECT pg_advisory_xact_lock($1)", APPLYING)
        except asyncpg.LockNotAvailableError as error:
            since: dt.datetime | None = await self._connection.fetchval(APPLYING_SINCE, APPLYING)
            told = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
            message = (
                f"another ApplySchedules or ImportSchedules is under way{told}; nothing was done;"
                f" try again in {LOCK_SECONDS} s"
            )
            raise Locked(message, LOCK_SECONDS) from error

    async def locked(self, ids: Sequence[str], label: tuple[str, str] | None) -> list[Schedule]:
        """Returns the schedules with these ids or with the label, locked until the transaction ends."""
        condition = "id = ANY($1::text[])" + (f" OR ({LABELLED})" if label else "")
        query = f"SELECT * FROM celery_schedules WHERE {condition} ORDER BY id FOR UPDATE"
        return [schedule_of(row) for row in await self._connection.fetch(query, ids, *(label or ()))]

    async def deletions(self, ids: Sequence[str], label: tuple[str, str] | None) -> list[str]:
        """Returns what changes when a schedule with one of these ids, or with the label, is deleted."""
        rows = await self._connection.fetch(DELETIONS, ids, *(label or (None, None)))
        return [row["mark"] for row in rows]

    async def create(self, each: Sequence[Timed]) -> None:
        try:
            await self._write(INSERT, each)
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists("schedule", "one of the manifest's") from error

    async def change(self, each: Sequence[Timed]) -> None:
        await self._write(UPDATE, each)

    async def _write(self, statement: str, each: Sequence[Timed]) -> None:
        """Writes the rows as columns. asyncpg's executemany is not used: it hangs if it is cancelled."""
        for start in range(0, len(each), ROWS_AT_ONCE):
            rows = [
                values_of(definition, due).values() for definition, due in each[start : start + ROWS_AT_ONCE]
            ]
            await self._connection.execute(statement, *map(list, zip(*rows, strict=True)))

    async def remove(self, ids: Sequence[str]) -> None:
        if ids:
            await self._connection.execute("DELETE FROM celery_schedules WHERE id = ANY($1::text[])", ids)


async def delete_old_deletions(connection: Connection, age: dt.timedelta, most: int) -> int:
    """Forgets up to `most` deletions older than `age`, the oldest first. Returns how many."""
    deleted: int = await connection.fetchval(FORGET, age, most)
    return deleted
