"""The SQL of the log of changes. It is written by triggers (migration 0010), and by `log_unbatched`."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.scheduler.changes import Entry, Found, Kind, RunKey, Wanted
from services.scheduler.rows import run_of
from services.scheduler.schedules import Run, RunState, Schedule
from services.scheduler.stored import schedule_of
from services.scheduler.watching_cursor import Cursor, Head, Snapshot

CHANNEL = "celery_schedule_changes"
RUNS_CHANGED = """
    INSERT INTO celery_schedule_changes (kind, schedule_ids, due_at)
    VALUES ('runs', $1::text[], $2::timestamptz[])
"""
HEAD = """
    SELECT (SELECT system_identifier FROM pg_control_system()) || '/'
            || left(pg_walfile_name(pg_current_wal_lsn()), 8) AS origin,
        CAST(pg_current_snapshot() AS text) AS now,
        (SELECT CAST(CAST(txid AS text) AS bigint) FROM celery_schedule_changes_trimmed) AS trimmed
"""
# What is visible now and was not: of the transactions that were under way, and of those that began since.
_VISIBLE = """
    SELECT * FROM celery_schedule_changes
    WHERE {which} AND pg_visible_in_snapshot(txid, CAST(CAST(:until AS text) AS pg_snapshot))
        AND (txid, position) >= (CAST(CAST(:txid AS text) AS xid8), CAST(:position AS bigint))
    ORDER BY txid, position LIMIT :most
"""
ENTRIES = f"""
    SELECT CAST(CAST(txid AS text) AS bigint) AS number, position, kind, schedule_ids, due_at, batch_id FROM (
        ({_VISIBLE.format(which="txid = ANY (CAST(CAST(:under_way AS text[]) AS xid8[]))")})
        UNION ALL
        ({_VISIBLE.format(which="txid >= CAST(CAST(:xmax AS text) AS xid8)")})
    ) AS unseen ORDER BY txid, position LIMIT :most
"""
SCHEDULES = "SELECT * FROM celery_schedules WHERE id = ANY (:ids)"
RUNS = """
    SELECT r.* FROM celery_schedule_runs_seen r
    JOIN unnest(CAST(:ids AS text[]), CAST(:due_at AS timestamptz[])) AS wanted (schedule_id, due_at)
        ON r.schedule_id = wanted.schedule_id AND r.due_at = wanted.due_at
"""
# Those whose end was heard are told by the entry of that.
BATCHES = """
    SELECT * FROM celery_schedule_runs_seen
    WHERE batch_id = ANY (:batches) AND recorded_state = 'batched' AND outcome IS NULL
        AND (CAST(:names AS text[]) IS NULL OR schedule_id = ANY (:names))
    ORDER BY schedule_id, due_at
"""
SIZES = """
    SELECT batch_id, count(*) AS size FROM celery_schedule_runs
    WHERE batch_id = ANY (:batches) AND state = 'batched' AND outcome IS NULL GROUP BY batch_id
"""
# A floor that is beyond the present is of another database, whose dump was restored here.
TRIM = """
    WITH old AS (
        DELETE FROM celery_schedule_changes
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM celery_schedule_changes
            WHERE recorded_at < now() - CAST(:age AS interval)
            ORDER BY recorded_at LIMIT :most FOR UPDATE SKIP LOCKED
        ))
        RETURNING txid
    ), newest AS (
        SELECT txid FROM old ORDER BY txid DESC LIMIT 1
    ), trimmed AS (
        UPDATE celery_schedule_changes_trimmed t SET txid = CASE
            WHEN t.txid < pg_snapshot_xmax(pg_current_snapshot()) THEN greatest(t.txid, newest.txid)
            ELSE newest.txid END
        FROM newest
    )
    SELECT count(*) FROM old
"""
# Rows that are made into domain objects before others may have the event loop.
STEP = 500


class ChangeStore:
    """The log of changes, and what has become of what it names, in one session: one snapshot."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def head(self) -> Head:
        row = (await self._session.execute(text(HEAD))).mappings().one()
        return Head(row["origin"], Snapshot.parse(row["now"]), row["trimmed"])

    async def entries(self, cursor: Cursor, most: int) -> list[Entry]:
        """What is visible in the cursor's `until` and was not told, in order."""
        txid, position, _ = cursor.place or (0, 0, 0)
        values = {
            "under_way": list(map(str, cursor.seen.under_way)),
            "xmax": str(cursor.seen.xmax),
            "until": str(cursor.until),
            "txid": str(txid),
            "position": position,
            "most": most,
        }
        return [
            Entry(
                row["number"],
                row["position"],
                Kind(row["kind"]),
                row["schedule_ids"] or (),
                row["due_at"] or (),
                row["batch_id"],
            )
            for row in (await self._session.execute(text(ENTRIES), values)).mappings()
        ]

    async def find(self, entries: Sequence[Entry], wanted: Wanted, *, sizes: bool) -> Found:
        """What has become of what the entries name and is wanted. `sizes`: of all batches, too."""
        found = Found()
        if wanted.schedules:
            ids = {each for entry in entries if not entry.kind.of_runs for each in entry.schedule_ids}
            await self._find_schedules([each for each in ids if wanted.names_it(each)], found)
        batches = [entry.batch_id for entry in entries if entry.batch_id is not None]
        if wanted.runs:
            keys = {key for entry in entries for key in entry.run_keys if wanted.names_it(key[0])}
            found.runs = await self._runs(list(keys))
            found.batches = await self._batches(batches, wanted)
        if sizes and batches:
            rows = await self._session.execute(text(SIZES), {"batches": batches})
            found.sizes = {row.batch_id: row.size for row in rows}
        return found

    async def _find_schedules(self, ids: Sequence[str], found: Found) -> None:
        schedules: dict[str, Schedule] = {}
        for number, row in enumerate(await self._rows(SCHEDULES, ids, ids=list(ids))):
            await _let_others(number)
            schedules[row["id"]] = schedule_of(row)
        found.schedules = schedules

    async def _runs(self, keys: Sequence[RunKey]) -> dict[RunKey, Run]:
        runs = {}
        values = {"ids": [key[0] for key in keys], "due_at": [key[1] for key in keys]}
        for number, row in enumerate(await self._rows(RUNS, keys, **values)):
            await _let_others(number)
            run = run_of(row)
            runs[run.schedule_id, run.due_at] = run
        return runs

    async def _batches(self, batches: Sequence[int], wanted: Wanted) -> dict[int, list[Run]]:
        runs = defaultdict(list)
        values = {"batches": list(batches), "names": sorted(wanted.names) or None}
        for number, row in enumerate(await self._rows(BATCHES, batches, **values)):
            await _let_others(number)
            runs[row["batch_id"]].append(run_of(row))
        return runs

    async def _rows(self, query: str, asked: Sequence[Any], **values: Any) -> Sequence[Any]:
        if not asked:
            return ()
        return (await self._session.execute(text(query), values)).mappings().all()


async def _let_others(number: int) -> None:
    if number % STEP == STEP - 1:
        await asyncio.sleep(0)


async def log_unbatched(connection: asyncpg.Connection[Any], runs: Sequence[Run]) -> None:
    """For who has inserted runs, in the same transaction: those that no batch publishes are logged.

    A trigger would do, but at a cost for each run. What is updated is logged by one.
    """
    untold = [run for run in runs if run.state is not RunState.PENDING]
    if untold:
        schedules, due = [run.schedule_id for run in untold], [run.due_at for run in untold]
        await connection.execute(RUNS_CHANGED, schedules, due)


async def delete_old_changes(session: AsyncSession, age: dt.timedelta, most: int) -> int:
    """What was logged longer ago than `age`, the oldest first; how far is written down."""
    deleted: int = await session.scalar(text(TRIM), {"age": age, "most": most})
    return deleted
