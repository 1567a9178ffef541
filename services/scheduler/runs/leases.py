"""What one replica does for all: whoever holds its lease.

A lease runs out by itself, so a replica that dies or freezes is soon followed by another. Two may believe to
hold it for a moment (one wakes up late): what is done under a lease must bear being done twice.
"""

from __future__ import annotations

import time
import uuid

from services.kernel.database import Database
from services.scheduler.pace import USUAL, Pace

HOLD = """
    INSERT INTO celery_schedule_leases AS known (name, holder, until)
    VALUES ($1, $2, now() + make_interval(secs => $3))
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE known.holder = excluded.holder OR known.until < now()
    RETURNING true
"""


class Lease:
    """One replica's hold on a name."""

    def __init__(self, database: Database, name: str, pace: Pace = USUAL) -> None:
        self._database = database
        self._pace = pace
        self._name = name
        self._holder = str(uuid.uuid4())
        self._renewed_at = float("-inf")

    async def hold(self) -> bool:
        """Takes the lease, or renews it now and then; whether this replica has it."""
        if time.monotonic() - self._renewed_at < self._pace.lease_renewal:
            return True
        asked_at = time.monotonic()
        async with self._database.connection() as connection:
            held = await connection.fetchval(HOLD, self._name, self._holder, self._pace.lease)
        self._renewed_at = asked_at if held else float("-inf")
        return bool(held)
