"""Leases, for work that one replica does at a time.

A lease runs out by itself, so another replica soon takes over from one that dies or freezes. For a moment two
replicas may believe that they hold it: one was frozen, and wakes up. So work under a lease must either be
harmless when it is done twice, or be fenced: each reign of a holder has a number (`epoch`), and `fence` lets
a transaction commit only in the reign in which it was begun.

Each service keeps its leases in a table of its own: name (primary key), holder, until, epoch.
"""

from __future__ import annotations

import time
import uuid

from services.kernel.database import Connection, Database
from services.kernel.pace import USUAL, Pace

HOLD = """
    INSERT INTO {table} AS known (name, holder, until, epoch)
    VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3), 1)
    ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, until = excluded.until,
        epoch = known.epoch + (known.holder <> excluded.holder)::int
    WHERE known.holder = excluded.holder OR known.until < clock_timestamp()
    RETURNING epoch
"""
# It locks the lease's row until the end of the transaction: until then nobody else can take the lease.
FENCE = """
    UPDATE {table} SET until = clock_timestamp() + make_interval(secs => $4)
    WHERE name = $1 AND holder = $2 AND epoch = $3
    RETURNING true
"""
RELEASE = "UPDATE {table} SET until = '-infinity' WHERE name = $1 AND holder = $2"


class LeaseLost(Exception):
    """Another replica has taken the lease: what was to be written was not."""


class Lease:
    """This replica's claim to the lease of that name, in the table of its service."""

    def __init__(self, database: Database, table: str, name: str, pace: Pace = USUAL) -> None:
        self._database = database
        self._pace = pace
        self._name = name
        self._hold, self._fence, self._release = (
            statement.format(table=table) for statement in (HOLD, FENCE, RELEASE)
        )
        self._holder = str(uuid.uuid4())
        self._renewed_at = float("-inf")
        # The number of this replica's last reign; 0: it had none.
        self.epoch = 0

    @property
    def is_fresh(self) -> bool:
        """Whether this replica has renewed the lease so lately that it need not do so again."""
        return time.monotonic() - self._renewed_at < self._pace.lease_renewal

    async def hold(self) -> bool:
        """Takes the lease, or renews it each `lease_renewal` seconds. Returns whether this replica has it."""
        if self.is_fresh:
            return True
        asked_at = time.monotonic()
        async with self._database.connection() as connection:
            epoch = await connection.fetchval(self._hold, self._name, self._holder, self._pace.lease)
        self._renewed_at = float("-inf") if epoch is None else asked_at
        self.epoch = epoch or self.epoch
        return epoch is not None

    async def fence(self, connection: Connection) -> None:
        """Renews the lease within a transaction, which can then commit only if nobody has taken it.

        Raises `LeaseLost` if somebody has.
        """
        asked_at = time.monotonic()
        values = (self._name, self._holder, self.epoch, self._pace.lease)
        if not await connection.fetchval(self._fence, *values):
            self._renewed_at = float("-inf")
            raise LeaseLost(self._name)
        self._renewed_at = asked_at

    async def release(self) -> None:
        """Lets another replica take the lease at once."""
        self._renewed_at = float("-inf")
        async with self._database.connection() as connection:
            await connection.execute(self._release, self._name, self._holder)
