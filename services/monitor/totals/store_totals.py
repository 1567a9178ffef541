"""The SQL of totals, and of the place in the events up to which they and the rows of tasks are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.kernel.database import Connection
from services.monitor.totals.ledger import Position
from services.monitor.totals.tally import Key, Tally

# The table of the monitor's leases (services.kernel.leases), and the one that the writer holds.
LEASES, WRITER = "celery_monitor_leases", "writer"

PLACE = "SELECT counted_to, written_to, commits FROM celery_event_place"
# Both in one statement. The row of the place is locked first: so the numbers of commits become visible in
# their order, and whoever reads what is newer than a number misses nothing.
ADD = """
    WITH placed AS (
        UPDATE celery_event_place
        SET counted_to = $1::bigint[], written_to = coalesce($2, written_to), commits = commits + 1
        RETURNING commits
    ), added AS (
        INSERT INTO celery_event_totals AS known (figure, label, part, total, commit)
        SELECT figure, label, part, total, commits
        FROM placed, unnest($3::text[], $4::text[], $5::text[], $6::float8[])
            AS counted (figure, label, part, total)
        ON CONFLICT (figure, label, part)
        DO UPDATE SET total = known.total + excluded.total, commit = excluded.commit
    )
    SELECT commits FROM placed
"""
SINCE = "SELECT figure, label, part, total, commit FROM celery_event_totals WHERE commit > $1 ORDER BY commit"


@dataclass(frozen=True)
class Written:
    """Up to where totals (`counted_to`) and rows (`written_to`, as the reader of events tells it; empty: it
    is not known) are written, and how often anything was."""

    counted_to: Position
    written_to: str
    commits: int


class TotalsStore:
    """Reads and writes totals, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def place(self) -> Written:
        row = await self._connection.fetchrow(PLACE)
        first, second = row["counted_to"]
        return Written((first, second), row["written_to"], row["commits"])

    async def add(self, tally: Tally, counted_to: Position, written_to: str | None) -> int:
        """Adds to the totals, and notes the places. Returns the number of this commit.

        To be called in a transaction that the lease fences. `written_to`: None if it has not moved.
        """
        figures, labels, parts = zip(*tally, strict=True) if tally else ((), (), ())
        values = (figures, labels, parts, tuple(tally.values()))
        number: int = await self._connection.fetchval(ADD, counted_to, written_to, *values)
        return number

    async def since(self, commit: int) -> Sequence[tuple[Key, float, int]]:
        """Returns the totals that were changed after that commit, each with its last one."""
        rows = await self._connection.fetch(SINCE, commit)
        return [((row[0], row[1], row[2]), row[3], row[4]) for row in rows]
