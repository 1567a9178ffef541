"""The SQL that makes the search index: tasks are closed, and slices of closed tasks are made.

A slice has the closed tasks up to a place in the order of lists, after the place of the slice before. The
oldest slice has all that are older.

1. `close` moves the place up to which tasks are closed. From then on triggers note each closed task that is
   written (celery_task_late).
2. `next_range` finds closed tasks that are in no slice yet, or a slice of which many were written since.
3. `read` reads them: first what is noted of them, then themselves. So whatever is written meanwhile stays
   noted.
4. `replace` stores the slice that was made of them in place of the old one, and forgets what was noted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.kernel.database import Connection
from services.kernel.pages import Place
from services.monitor.search.grams import Searched
from services.monitor.search.postings import MOST_TASKS

# New tasks are closed when there are so many. Until then a search looks at them one by one.
STEP = 1024
# A slice is made anew when it has the most late tasks, and there are so many of them in all.
MOST_LATE = 1024
# Characters of texts of a slice, to bound the memory in which it is made.
MOST_TEXT = 3_000_000
# Tasks of one row of celery_task_slice_ids.
PORTION = 64
READ_AT_ONCE = 1024
# Tasks that were heard of so lately are left alone: their next events come soon.
FRESH = dt.timedelta(seconds=1)

# Held while the place moves, and by the triggers of those who write tasks.
LOCK = "pg_advisory_xact_lock(hashtextextended('celery_task_search', 0))"
# Whoever waits for that lock holds up all who write. So it gives up soon, and tries again later.
PATIENCE = "SET LOCAL lock_timeout = '500ms'"
# Held by whoever makes slices. Of several monitors one does.
MAKERS = "pg_try_advisory_xact_lock(hashtextextended('celery_task_slices', 0))"

NEW = f"""
    SELECT count(*) AS tasks, max(heard_at) AS heard_at, (array_agg(id))[count(*)::int] AS id FROM (
        SELECT heard_at, id FROM celery_task_results_ext
        WHERE (heard_at, id) > (
                (SELECT closed_at FROM celery_task_search), (SELECT closed_id FROM celery_task_search)
            ) AND heard_at < now() - $1::interval
        ORDER BY heard_at, id LIMIT {MOST_TASKS}
    ) AS new
"""
MOVE = """
    UPDATE celery_task_search SET closed_at = $1, closed_id = $2 WHERE (closed_at, closed_id) < ($1, $2)
"""
# Up to where tasks are closed, if no slice reaches so far.
UNSLICED = """
    SELECT closed_at, closed_id FROM celery_task_search
    WHERE closed_at > '-infinity' AND NOT EXISTS (
        SELECT FROM celery_task_slices WHERE (to_at, to_id) >= (closed_at, closed_id)
    )
"""
NEWEST = "SELECT to_at, to_id, is_full FROM celery_task_slices ORDER BY to_at DESC, to_id DESC LIMIT 2"
BEFORE = """
    SELECT to_at, to_id FROM celery_task_slices WHERE (to_at, to_id) < ($1, $2)
    ORDER BY to_at DESC, to_id DESC LIMIT 1
"""
# Of the oldest late tasks, as many as are looked at: the place of the slice that has most of them.
MOST_WRITTEN = f"""
    SELECT to_at, to_id
    FROM (SELECT heard_at, id FROM celery_task_late ORDER BY heard_at, id LIMIT {4 * MOST_LATE}) AS late,
        LATERAL (
            SELECT to_at, to_id FROM celery_task_slices
            WHERE (to_at, to_id) >= (late.heard_at, late.id) ORDER BY to_at, to_id LIMIT 1
        ) AS slice
    GROUP BY to_at, to_id ORDER BY count(*) DESC LIMIT 1
"""
MANY_LATE = f"SELECT count(*) >= {MOST_LATE} FROM (SELECT FROM celery_task_late LIMIT {MOST_LATE}) AS late"
NOTED = f"""
    SELECT id, writing FROM celery_task_late
    WHERE (heard_at, id) > ($1, $2) AND (heard_at, id) <= ($3, $4)
    ORDER BY heard_at, id LIMIT {2 * MOST_TASKS}
"""
READ = f"""
    SELECT id, heard_at, state, coalesce(task, '') AS task, coalesce(queue, '') AS queue,
        coalesce(worker, '') AS worker, coalesce(worker || '~' || worker_pid, '') AS process,
        lower(concat_ws(' ', args, kwargs, result, exception)) AS text,
        lower(coalesce(exception, '')) AS exception, coalesce(exception_type, '') AS exception_type
    FROM celery_task_results_ext
    WHERE (heard_at, id) > ($1, $2) AND (heard_at, id) <= ($3, $4)
    ORDER BY heard_at, id LIMIT {READ_AT_ONCE}
"""
ADD = """
    INSERT INTO celery_task_slices (to_at, to_id, tasks, is_full) VALUES ($1, $2, $3, $4) RETURNING id
"""
REMOVE = """
    WITH gone AS (
        DELETE FROM celery_task_slices WHERE (to_at, to_id) > ($1, $2) AND (to_at, to_id) <= ($3, $4)
        RETURNING id
    ), ids AS (DELETE FROM celery_task_slice_ids USING gone WHERE slice = gone.id)
    DELETE FROM celery_task_grams USING gone WHERE slice = gone.id
"""
# The slice after a new one that did not take all of its tasks: those that it took are no longer its own.
CUT = """
    UPDATE celery_task_slices SET first = (
        SELECT count(*) FROM celery_task_slice_ids, unnest(heard_ats, ids) AS task (heard_at, id)
        WHERE slice = celery_task_slices.id AND (heard_at, id) <= ($1, $2)
    )
    WHERE id = (
        SELECT id FROM celery_task_slices WHERE (to_at, to_id) > ($1, $2) ORDER BY to_at, to_id LIMIT 1
    )
"""
# One that somebody else is writing at this moment stays noted.
FORGET = """
    DELETE FROM celery_task_late WHERE id IN (
        SELECT id FROM celery_task_late JOIN unnest($1::text[], $2::bigint[]) AS read (id, writing)
            USING (id, writing)
        WHERE (heard_at, id) <= ($3, $4)
        FOR UPDATE OF celery_task_late SKIP LOCKED
    )
"""
# The newest slice stays: it says up to where there are slices.
OLDEST = """
    SELECT to_at, to_id FROM celery_task_slices
    WHERE (SELECT count(*) > 1 FROM celery_task_slices) ORDER BY to_at, to_id LIMIT 1
"""
IS_EMPTY = "SELECT NOT EXISTS (SELECT FROM celery_task_results_ext WHERE (heard_at, id) <= ($1, $2))"
# Before all places. asyncpg has this moment for the database's "-infinity".
BEGINNING: Place = (dt.datetime.min, "")  # noqa: DTZ901


@dataclass(frozen=True)
class Range:
    """The closed tasks after a place, up to another."""

    after: Place
    to: Place


@dataclass(frozen=True)
class Tasks:
    """Tasks of a range, in the order of lists, the oldest first; and the writings that were noted before.

    `to`: the last of them; the range's end, if the range has no more (else the slice is full).
    """

    places: Sequence[Place]
    searched: Sequence[Searched]
    noted: Sequence[tuple[str, int]]
    to: Place
    is_full: bool


async def close(connection: Connection) -> bool:
    """Closes new tasks, `MOST_TASKS` at most, if there are enough of them. Returns whether there were."""
    new = await connection.fetchrow(NEW, FRESH)
    if new["tasks"] < STEP:
        return False
    await connection.execute(PATIENCE)
    await connection.execute(f"SELECT {LOCK}")
    await connection.execute(MOVE, new["heard_at"], new["id"])
    return True


async def may_make(connection: Connection) -> bool:
    """Returns whether this transaction is the one that makes slices, until its end."""
    return bool(await connection.fetchval(f"SELECT {MAKERS}"))


async def next_range(connection: Connection) -> Range | None:
    """Returns the tasks of which a slice is to be made; None if all is well."""
    if closed := await connection.fetchrow(UNSLICED):
        newest = await connection.fetch(NEWEST)
        # More fit into the newest slice: it is made anew with them.
        others = newest[1:] if newest and not newest[0]["is_full"] else newest
        return Range(_place(others[0]) if others else BEGINNING, _place(closed))
    if not await connection.fetchval(MANY_LATE):
        return None
    written = await connection.fetchrow(MOST_WRITTEN)
    if written is None:
        return None
    before = await connection.fetchrow(BEFORE, *written)
    return Range(_place(before) if before else BEGINNING, _place(written))


async def read(connection: Connection, wanted: Range) -> Tasks:
    """Reads the tasks of the range, from its beginning on, as many as fit in a slice."""
    noted = [tuple(row) for row in await connection.fetch(NOTED, *wanted.after, *wanted.to)]
    places: list[Place] = []
    searched: list[Searched] = []
    size = 0
    while len(places) <= MOST_TASKS - READ_AT_ONCE and size < MOST_TEXT:
        after = places[-1] if places else wanted.after
        rows = await connection.fetch(READ, *after, *wanted.to)
        places += [(row["heard_at"], row["id"]) for row in rows]
        searched += map(_searched, rows)
        size += sum(len(row["text"]) for row in rows)
        if len(rows) < READ_AT_ONCE:
            return Tasks(places, searched, noted, wanted.to, is_full=False)
    return Tasks(places, searched, noted, places[-1], is_full=True)


async def replace(
    connection: Connection, wanted: Range, tasks: Tasks, blocks: Sequence[tuple[int, bytes]]
) -> None:
    """Stores the slice in place of those that it contains."""
    await connection.execute(REMOVE, *wanted.after, *tasks.to)
    slice_id = await connection.fetchval(ADD, *tasks.to, len(tasks.places), tasks.is_full)
    portions = range(0, len(tasks.places), PORTION)
    await connection.copy_records_to_table(
        "celery_task_slice_ids",
        records=[
            (slice_id, number, *map(list, zip(*tasks.places[begin : begin + PORTION], strict=True)))
            for number, begin in enumerate(portions)
        ],
    )
    await connection.copy_records_to_table(
        "celery_task_grams", records=[(slice_id, first, block) for first, block in blocks]
    )
    if tasks.is_full:
        await connection.execute(CUT, *tasks.to)
    ids, writings = [each[0] for each in tasks.noted], [each[1] for each in tasks.noted]
    await connection.execute(FORGET, ids, writings, *tasks.to)


async def remove_if_empty(connection: Connection) -> bool:
    """Removes the oldest of several slices if all its tasks are gone. Returns whether it did."""
    oldest = await connection.fetchrow(OLDEST)
    if oldest is None or not await connection.fetchval(IS_EMPTY, *oldest):
        return False
    await connection.execute(REMOVE, *BEGINNING, *oldest)
    return True


def _place(row: Any) -> Place:
    return row[0], row[1]


def _searched(row: Any) -> Searched:
    return Searched(
        text=row["text"],
        exception=row["exception"],
        state=row["state"],
        task=row["task"],
        queue=row["queue"],
        hostname=row["worker"],
        process=row["process"],
        exception_type=row["exception_type"],
    )
