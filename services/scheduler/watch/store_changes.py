"""The SQL that reads and trims the log of changes.

Its entries are written by triggers (migrations 0010 and 0014), by dispatch/store_due.py (`log_unbatched`),
and by dispatch/store_pending_log.py.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from services.kernel.database import Connection
from services.kernel.parameters import Parameters
from services.kernel.snapshots import NOW, ORIGIN, Snapshot
from services.scheduler.backfill.store_backfills import BackfillStore
from services.scheduler.catalogue.store_listing import EVERY, ScheduleFilter, matches
from services.scheduler.dispatch.turns import Turns
from services.scheduler.schedule.definition import Run, Schedule
from services.scheduler.schedule.rows import Row, run_of, schedule_of
from services.scheduler.schedule.store_base import Store
from services.scheduler.watch.changes import Entry, Found, Kind, RunKey, Wanted
from services.scheduler.watch.cursor import Cursor, Head

Item = TypeVar("Item")

CHANNEL = "celery_schedule_changes"
HEAD = f"""
    SELECT {ORIGIN} AS origin, {NOW} AS now,
        (SELECT CAST(CAST(txid AS text) AS bigint) FROM celery_schedule_changes_trimmed) AS trimmed
"""
# Schedules or runs looked up by one query.
PART = 500
# Entries visible in the snapshot $3 and not in the reader's: of transactions that were in progress in the
# reader's snapshot ($1), and of those that began later ($2).
_VISIBLE = """
    SELECT * FROM celery_schedule_changes
    WHERE {which} AND pg_visible_in_snapshot(txid, $3::text::pg_snapshot)
        AND (txid, position) >= ($4::text::xid8, $5::bigint)
    ORDER BY txid, position LIMIT $6
"""
ENTRIES = f"""
    SELECT txid::text::bigint AS number, position, kind, schedule_ids, due_at, batch_id, backfill_id FROM (
        ({_VISIBLE.format(which="txid = ANY ($1::text[]::xid8[])")})
        UNION ALL
        ({_VISIBLE.format(which="txid >= $2::text::xid8")})
    ) AS unseen ORDER BY txid, position LIMIT $6
"""
SCHEDULES = "SELECT * FROM celery_schedules WHERE id = ANY ($1::text[])"
RUNS = """
    SELECT r.* FROM celery_schedule_runs_seen r
    JOIN unnest($1::text[], $2::timestamptz[]) AS wanted (schedule_id, due_at)
        ON r.schedule_id = wanted.schedule_id AND r.due_at = wanted.due_at
"""
# Without runs whose outcome is known: recording the outcome has logged an entry of its own.
BATCHES = """
    SELECT r.* FROM celery_schedule_runs_seen r {of_matching}
    WHERE r.batch_id = ANY ($1::bigint[]) AND r.recorded_state = 'batched' AND r.outcome IS NULL
        AND ($2::text[] IS NULL OR r.schedule_id = ANY ($2))
    ORDER BY r.schedule_id, r.due_at
"""
SIZES = """
    SELECT r.batch_id, count(*) AS size FROM celery_schedule_runs r {of_matching}
    WHERE r.batch_id = ANY ($1::bigint[]) AND r.state = 'batched' AND r.outcome IS NULL GROUP BY r.batch_id
"""
UNPUBLISHED = "SELECT id FROM celery_schedule_batches WHERE id = ANY ($1::bigint[]) AND published_at IS NULL"
# Keeps the runs of schedules that match a filter. OFFSET 0 makes the planner look up the schedule of each
# run, whatever its estimate of the number of schedules.
OF_MATCHING = """
    JOIN LATERAL (SELECT * FROM celery_schedules WHERE id = r.schedule_id OFFSET 0) AS s ON {matches}
"""
MATCHING = "SELECT s.id FROM celery_schedules s WHERE s.id = ANY ($1::text[]) AND {matches}"
# Entries older than migration 0014 have no `before`: their schedules count as having matched any filter.
FORMER = """
    WITH entry AS (
        SELECT c.* FROM unnest($1::text[], $2::bigint[]) AS wanted (txid, position), LATERAL (
            SELECT txid::text::bigint AS number, position, schedule_ids, before FROM celery_schedule_changes
            WHERE txid = wanted.txid::xid8 AND position = wanted.position OFFSET 0
        ) AS c
    )
    SELECT number, position, s.id
    FROM entry, LATERAL jsonb_populate_recordset(NULL::celery_schedules, before) AS s WHERE {matches}
    UNION ALL
    SELECT number, position, unnest(schedule_ids) FROM entry WHERE before IS NULL
"""
# A `trimmed` number above the present ones comes from another database whose dump was restored here; it is
# replaced.
TRIM = """
    WITH old AS (
        DELETE FROM celery_schedule_changes
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM celery_schedule_changes
            WHERE recorded_at < now() - $1::interval
            ORDER BY recorded_at LIMIT $2 FOR UPDATE SKIP LOCKED
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


class ChangeStore(Store):
    """The log of changes and the present state of what it names, read in one snapshot on one connection."""

    def __init__(self, connection: Connection, turns: Turns) -> None:
        super().__init__(connection)
        self._turns = turns

    async def head(self) -> Head:
        row = await self._connection.fetchrow(HEAD)
        return Head(row["origin"], Snapshot.parse(row["now"]), row["trimmed"])

    async def entries(self, cursor: Cursor, most: int) -> list[Entry]:
        """Returns up to `most` entries, in order, that `until` sees and the cursor has not passed."""
        txid, position, _ = cursor.place or (0, 0, 0)
        under_way, xmax = list(map(str, cursor.seen.under_way)), str(cursor.seen.xmax)
        values = under_way, xmax, str(cursor.until), str(txid), position, most
        return [
            Entry(
                row["number"],
                row["position"],
                Kind(row["kind"]),
                row["schedule_ids"] or (),
                row["due_at"] or (),
                row["batch_id"],
                row["backfill_id"],
            )
            for row in await self._connection.fetch(ENTRIES, *values)
        ]

    async def find(self, entries: Sequence[Entry], wanted: Wanted, sizes: bool = False) -> Found:
        """Returns the present state of what the entries name and the reader wants.

        `sizes`: also the number of runs of each batch.
        """
        found = Found()
        if not entries:
            return found
        if wanted.matching != EVERY:
            await self._find_matching(entries, wanted.matching, found)
        if wanted.schedules:
            named = (
                each
                for entry in entries
                if entry.kind.of_schedules
                for each in entry.schedule_ids
                if wanted.names_it(each) and (found.matches(each) or found.matched(entry, each))
            )
            ids = set[str]()
            await self._turns.run(map(ids.add, named))
            found.schedules = await self._schedules(list(ids))
        if wanted.backfills:
            moved = [entry for entry in entries if entry.kind is Kind.BACKFILL]
            backfills = {each.backfill_id for each in moved if wanted.names_it(each.schedule_ids[0])}
            found.backfills = await BackfillStore(self._connection).with_ids(backfills) if backfills else {}
        batches = [entry.batch_id for entry in entries if entry.batch_id is not None]
        if late := [entry.batch_id for entry in entries if entry.kind is Kind.UNPUBLISHED]:
            rows = await self._connection.fetch(UNPUBLISHED, late)
            found.unpublished = {row["id"] for row in rows}
        if wanted.runs:
            keys = {key for entry in entries for key in entry.run_keys if wanted.names_it(key[0])}
            found.runs = await self._runs([key for key in keys if found.matches(key[0])])
            found.batches = await self._batches(batches, wanted)
        if sizes and batches:
            query, values = of_matching(SIZES, wanted.matching, batches)
            rows = await self._connection.fetch(query, *values)
            found.sizes = {row["batch_id"]: row["size"] for row in rows}
        return found

    async def _find_matching(self, entries: Sequence[Entry], matching: ScheduleFilter, found: Found) -> None:
        ids, found.matching = set[str](), set[str]()
        await self._turns.run(map(ids.add, chain.from_iterable(entry.schedule_ids for entry in entries)))
        for some in _parts(list(ids)):
            values = Parameters([some])
            query = MATCHING.format(matches=matches(matching, values))
            found.matching.update([row["id"] for row in await self._connection.fetch(query, *values)])
        # A schedule that was just created matched no filter before.
        changed = [entry for entry in entries if entry.kind in (Kind.UPDATED, Kind.DELETED)]
        values = Parameters([[str(entry.txid) for entry in changed], [entry.position for entry in changed]])
        query = FORMER.format(matches=matches(matching, values))
        former = defaultdict(set)
        for row in await self._connection.fetch(query, *values) if changed else ():
            former[row["number"], row["position"]].add(row["id"])
        found.former = former

    async def _schedules(self, ids: Sequence[str]) -> dict[str, Schedule]:
        schedules: dict[str, Schedule] = {}
        for some in _parts(ids):
            rows = await self._connection.fetch(SCHEDULES, some)
            await self._turns.run(schedules.setdefault(row["id"], schedule_of(row)) for row in rows)
        return schedules

    async def _runs(self, keys: Sequence[RunKey]) -> dict[RunKey, Run]:
        runs: dict[RunKey, Run] = {}
        for some in _parts(keys):
            schedules, due = [key[0] for key in some], [key[1] for key in some]
            found = map(run_of, await self._connection.fetch(RUNS, schedules, due))
            await self._turns.run(runs.setdefault((run.schedule_id, run.due_at), run) for run in found)
        return runs

    async def _batches(self, batches: Sequence[int], wanted: Wanted) -> dict[int, list[Run]]:
        runs = defaultdict[int, list[Run]](list)
        names = sorted(wanted.names) or None
        query, values = of_matching(BATCHES, wanted.matching, batches, names)
        rows = await self._connection.fetch(query, *values) if batches else ()

        def sort(row: Row) -> None:
            runs[row["batch_id"]].append(run_of(row))

        await self._turns.run(map(sort, rows))
        return runs


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yields the items in parts of PART, so that thousands of them don't block the event loop."""
    for start in range(0, len(items), PART):
        yield items[start : start + PART]


def of_matching(query: str, matching: ScheduleFilter, *values: Any) -> tuple[str, Parameters]:
    """Returns BATCHES or SIZES, limited to runs of schedules that match, with the values of the query."""
    places = Parameters(values)
    joined = "" if matching == EVERY else OF_MATCHING.format(matches=matches(matching, places))
    return query.format(of_matching=joined), places


async def delete_old_changes(connection: Connection, age: dt.timedelta, most: int) -> int:
    """Deletes up to `most` entries older than `age`, oldest first, and records how far the log is trimmed.

    Returns the number of deleted entries.
    """
    deleted: int = await connection.fetchval(TRIM, age, most)
    return deleted
