"""PostgreSQL's snapshots as positions of readers that miss no change and wait for no transaction.

Transactions don't commit in the order of their numbers, nor of anything else that they could write down. So a
reader's position is not a number but a PostgreSQL snapshot: the set of transactions that were visible. The
changes that it has not seen are exactly those of all other transactions: those that were in progress at that
moment, and those that began later. The alternative, to wait until no older transaction is in progress, would
let one long transaction of any database in the cluster hold up every reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SNAPSHOT = re.compile(r"(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)")
MOST_NUMBER = 2**63 - 1
# SQL for the identity of the server, the timeline and the database. It changes when a backup was restored and
# after a failover: then the same numbers belong to other transactions and revisions.
ORIGIN = """
    (SELECT system_identifier FROM pg_control_system()) || '/'
        || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '/'
        || (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# SQL of the present snapshot, as `Snapshot.parse` reads it.
NOW = "CAST(pg_current_snapshot() AS text)"


@dataclass(frozen=True)
class Snapshot:
    """Visible are the transactions below `xmax`, except those in `under_way` (ids in ascending order)."""

    xmax: int
    under_way: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: object) -> Snapshot:
        """Reads PostgreSQL's text form, xmin:xmax:under_way ("10:20:10,14"). Raises ValueError."""
        found = SNAPSHOT.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"{str(text)[:100]!r} is no snapshot")
        xmin, xmax = int(found[1]), int(found[2])
        under_way = tuple(map(int, filter(None, found[3].split(","))))
        rising = [xmin - 1, *under_way, xmax]
        if not 0 < xmin <= xmax <= MOST_NUMBER or sorted(set(rising)) != rising:
            raise ValueError(f"{str(text)[:100]!r} is no snapshot")
        return cls(xmax, under_way)

    def __str__(self) -> str:
        xmin = self.under_way[0] if self.under_way else self.xmax
        return f"{xmin}:{self.xmax}:{','.join(map(str, self.under_way))}"

    def sees(self, txid: int) -> bool:
        return txid < self.xmax and txid not in self.under_way
