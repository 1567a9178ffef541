"""The SQL of gaps: recorded once however many monitors see them, claimed, counted, repaired, listed."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.kernel.database import Connection
from services.kernel.pages import Place
from services.monitor.gaps.gap import EventGap, GapState
from services.monitor.intake.seen_gaps import GapCause, SeenGap

MOST_OPEN = 100
SHOWN = (
    "id, cause, started_at, ended_at, missed, state, from_results, from_workers, not_repairable, undecided,"
    " note, results_read, recorded_at, repaired_at"
)
# Held until the end of the transaction, so that of two monitors the second finds what the first has recorded.
LOCK = "SELECT pg_advisory_xact_lock(hashtext('celery_event_gaps'))"
# Two that overlap and have one cause are one gap, which several monitors have seen, or one of them twice.
SAME = f"""
    SELECT {SHOWN} FROM celery_event_gaps
    WHERE cause = $1 AND started_at <= $3 AND ended_at >= $2
    ORDER BY started_at DESC LIMIT 1
"""
# What workers' counts miss is explained by a gap that is known, if there was one since then.
EXPLAINED = f"""
    SELECT {SHOWN} FROM celery_event_gaps
    WHERE started_at <= $2 AND ended_at >= $1 ORDER BY started_at DESC LIMIT 1
"""
INSERT = f"""
    INSERT INTO celery_event_gaps (cause, started_at, ended_at, missed) VALUES ($1, $2, $3, $4)
    RETURNING {SHOWN}
"""
# A gap that turns out to be longer than it was known to be is repaired again.
EXTEND = f"""
    UPDATE celery_event_gaps SET started_at = least(started_at, $2), ended_at = greatest(ended_at, $3),
        missed = greatest(missed, $4::bigint), state = 'OPEN', repaired_at = NULL
    WHERE id = $1 RETURNING {SHOWN}
"""
COUNT_MISSED = (
    f"UPDATE celery_event_gaps SET missed = greatest(missed, $2::bigint) WHERE id = $1 RETURNING {SHOWN}"
)
COUNT_OPEN = "SELECT count(*) FROM celery_event_gaps WHERE state = 'OPEN'"
OPEN = f"SELECT {SHOWN} FROM celery_event_gaps WHERE state = 'OPEN' ORDER BY ended_at LIMIT {MOST_OPEN}"
CLAIM = f"""
    UPDATE celery_event_gaps
    SET repairer = $1, repairing_until = clock_timestamp() + make_interval(secs => $2)
    WHERE state = 'OPEN' AND (repairer IS NULL OR repairer = $1 OR repairing_until < clock_timestamp())
    RETURNING {SHOWN}
"""
TELL = """
    UPDATE celery_event_gaps SET undecided = $2, note = $3, results_read = $4
    WHERE id = any($1::bigint[]) AND (undecided, note, results_read) IS DISTINCT FROM ($2, $3, $4)
"""
COUNT = """
    UPDATE celery_event_gaps SET from_results = from_results + $2, from_workers = from_workers + $3,
        not_repairable = not_repairable + $4
    WHERE id = $1
"""
# Unless it has become longer meanwhile.
REPAIRED = """
    UPDATE celery_event_gaps
    SET state = 'REPAIRED', repaired_at = clock_timestamp(), undecided = 0, note = $3, results_read = $4,
        repairer = NULL, repairing_until = NULL
    FROM unnest($1::bigint[], $2::timestamptz[]) AS done (gap, until)
    WHERE id = done.gap AND ended_at <= done.until AND state = 'OPEN'
"""
NEWEST = f"""
    SELECT {SHOWN} FROM celery_event_gaps
    WHERE ($1::timestamptz IS NULL OR (started_at, id) < ($1, $2))
        AND (cardinality($3::text[]) = 0 OR state = any($3))
    ORDER BY started_at DESC, id DESC LIMIT $4
"""
DELETE = """
    WITH deleted AS (DELETE FROM celery_event_gaps WHERE id IN (
        SELECT id FROM celery_event_gaps WHERE ended_at < $1 AND state = 'REPAIRED'
        ORDER BY started_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id)
    SELECT count(*) FROM deleted
"""


@dataclass
class Repairs:
    """How many tasks were put right by what, and how many could not be."""

    from_results: int = 0
    from_workers: int = 0
    not_repairable: int = 0


class GapStore:
    """Reads and writes gaps, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def record(self, seen: SeenGap) -> tuple[EventGap, bool]:
        """Records a gap, or finds that it is recorded. Returns it, and whether it is new.

        To be called in a transaction.
        """
        since, until = moment_of(seen.since), moment_of(seen.until)
        await self._connection.execute(LOCK)
        row = await self._connection.fetchrow(SAME, seen.cause.name, since, until)
        if row is None and seen.cause is GapCause.WORKER_COUNT:
            explained = await self._connection.fetchrow(EXPLAINED, since, until)
            if explained is not None:
                counted = await self._connection.fetchrow(COUNT_MISSED, explained["id"], seen.missed)
                return _gap_of(counted), False
        if row is None:
            new = await self._connection.fetchrow(INSERT, seen.cause.name, since, until, seen.missed)
            return _gap_of(new), True
        known = _gap_of(row)
        if known.started_at <= since and known.ended_at >= until:
            counted = await self._connection.fetchrow(COUNT_MISSED, known.id, seen.missed)
            return _gap_of(counted), False
        extended = await self._connection.fetchrow(EXTEND, known.id, since, until, seen.missed)
        return _gap_of(extended), False

    async def open(self) -> Sequence[EventGap]:
        """Returns the gaps that are not repaired, oldest first, `MOST_OPEN` at most."""
        return [_gap_of(row) for row in await self._connection.fetch(OPEN)]

    async def count_open(self) -> int:
        """Returns how many gaps are not repaired."""
        count: int = await self._connection.fetchval(COUNT_OPEN)
        return count

    async def claim(self, repairer: uuid.UUID, seconds: float) -> Sequence[EventGap]:
        """Claims the open gaps that no other monitor repairs, for so long. Returns those claimed."""
        found = [_gap_of(row) for row in await self._connection.fetch(CLAIM, repairer, seconds)]
        return sorted(found, key=lambda gap: gap.ended_at)

    async def tell(self, gaps: Sequence[EventGap], undecided: int, note: str, results_read: bool) -> None:
        await self._connection.execute(TELL, [gap.id for gap in gaps], undecided, note, results_read)

    async def count(self, gap: int, repairs: Repairs) -> None:
        """Adds to the counts of the gap."""
        counts = (repairs.from_results, repairs.from_workers, repairs.not_repairable)
        await self._connection.execute(COUNT, gap, *counts)

    async def repaired(self, gaps: Sequence[EventGap], note: str, results_read: bool) -> None:
        """Marks those of the gaps as repaired that have not become longer meanwhile."""
        ids, ends = [gap.id for gap in gaps], [gap.ended_at for gap in gaps]
        await self._connection.execute(REPAIRED, ids, ends, note, results_read)

    async def list(self, states: Sequence[GapState], after: Place | None, most: int) -> Sequence[EventGap]:
        """Returns gaps by their begin, newest first; in any state if none is given."""
        at, last = (None, 0) if after is None else (after[0], int(after[1]))
        rows = await self._connection.fetch(NEWEST, at, last, [state.name for state in states], most)
        return [_gap_of(row) for row in rows]


async def delete_gaps_before(connection: Connection, moment: dt.datetime, most: int) -> int:
    """Deletes at most `most` repaired gaps that ended before the moment. Returns how many."""
    deleted: int = await connection.fetchval(DELETE, moment, most)
    return deleted


def moment_of(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _gap_of(row: Any) -> EventGap:
    return EventGap(**{**row, "cause": GapCause[row["cause"]], "state": GapState[row["state"]]})
