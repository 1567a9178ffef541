"""Ends transactions whose client is stuck in the middle of a statement while others wait for their locks.

A frozen process, a bug of a driver, or a network that dies can leave a statement half sent or its answer half
read. PostgreSQL then waits for the client without limit: statement_timeout and transaction_timeout (18.4 and
before) end neither a COPY that waits for rows nor an answer that nobody reads, and
idle_in_transaction_session_timeout counts only between statements. What works on every version is
pg_terminate_backend, which a role may use on its own sessions (docs/decisions/kernel-locks.md).
"""

from __future__ import annotations

import datetime as dt
import time
from typing import NamedTuple

import structlog

from services.kernel.database import DATABASE_ERRORS, IDLE_SECONDS, Database
from services.kernel.loops import Loop
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# Celeriac's own sessions, of any service that logs in as this role, in a transaction and waiting for their
# client. `state_change` moves with each message of the client.
WAITING = """
    SELECT pid, state_change FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'celeriac%'
        AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND wait_event_type = 'Client'
"""
# Of these, those that somebody waits for, and that have not gone on since. They are ended by a column of the
# answer, not by a condition: PostgreSQL does not say in which order it looks at conditions.
END = """
    SELECT pid, application_name, xact_start, pg_terminate_backend(pid) FROM pg_stat_activity
    JOIN unnest($1::integer[], $2::timestamptz[]) AS stuck (pid, state_change) USING (pid, state_change)
    WHERE wait_event_type = 'Client' AND pid IN (
        SELECT unnest(pg_blocking_pids(waiting.pid)) FROM pg_locks AS waiting WHERE NOT waiting.granted)
"""


class Stand(NamedTuple):
    """A server process that waits for its client, and since when it has been in this state."""

    pid: int
    state_change: dt.datetime


class StuckClients:
    """Looks after the sessions of all replicas; each replica may do so."""

    def __init__(self, database: Database, pace: Pace = USUAL) -> None:
        self._database = database
        # When each was first seen so, by time.monotonic().
        self._seen: dict[Stand, float] = {}
        self.loop = Loop(
            "stuck_clients",
            self.look,
            every=pace.stuck_look,
            outlives=DATABASE_ERRORS,
            failed="stuck_clients.look_failed",
        )

    async def look(self) -> int:
        """Ends what has waited for its client for IDLE_SECONDS, and is waited for; how many that were."""
        async with self._database.connection() as connection:
            now = time.monotonic()
            stands = [Stand(*row) for row in await connection.fetch(WAITING)]
            self._seen = {stand: self._seen.get(stand, now) for stand in stands}
            stuck = [stand for stand, since in self._seen.items() if now - since >= IDLE_SECONDS]
            if not stuck:
                return 0
            pids, states = [stand.pid for stand in stuck], [stand.state_change for stand in stuck]
            ended = await connection.fetch(END, pids, states)
        for row in ended:
            log.warning(
                "stuck_clients.ended",
                pid=row["pid"],
                application=row["application_name"],
                transaction_since=str(row["xact_start"]),
            )
        return len(ended)
