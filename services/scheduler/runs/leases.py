"""Leases, for loops that run on one replica at a time.

A lease runs out by itself, so another replica soon takes over from one that dies or freezes. For a moment two
replicas may believe that they hold it (one was frozen and wakes up), so work under a lease must be harmless
when it is done twice.
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
    """This replica's claim to the lease of that name."""

    def __init__(self, database: Database, name: str, pace: Pace = USUAL) -> None:
        self._database = database
        self._pace = pace
        self._name = name
        self._holder = str(uuid.uuid4())
        self._renewed_at = float("-inf")

    async def hold(self) -> bool:
        """Takes the lease, or renews it each `lease_renewal` seconds. Returns whether this replica has it."""
        if time.monotonic() - self._renewed_at < self._pace.lease_renewal:
            return True
        asked_at = time.monotonic()
        async with self._database.connection() as connection:
            held = await connection.fetchval(HOLD, self._name, self._holder, self._pace.lease)
        self._renewed_at = asked_at if held else float("-inf")
        return bool(held)
