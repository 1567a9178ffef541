"""Ends transactions whose client is stuck in the middle of a statement while others wait for their locks.

A frozen process, a bug in a driver or a network failure can leave a statement half sent or its result half
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

from services.kernel.database import IDLE_SECONDS, Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# The sessions of Celeriac under this database role that are in a transaction and wait for their client.
# `state_change` changes with each message of the client.
WAITING = """
    SELECT pid, state_change FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'celeriac%'
        AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND wait_event_type = 'Client'
"""
# Ends those of them that block another session and have not gone on since. pg_terminate_backend is in the
# SELECT list, not among the conditions, because PostgreSQL evaluates conditions in any order.
END = """
    SELECT pid, application_name, xact_start, pg_terminate_backend(pid) FROM pg_stat_activity
    JOIN unnest($1::integer[], $2::timestamptz[]) AS stuck (pid, state_change) USING (pid, state_change)
    WHERE wait_event_type = 'Client' AND pid IN (
        SELECT unnest(pg_blocking_pids(waiting.pid)) FROM pg_locks AS waiting WHERE NOT waiting.granted)
"""


class Stand(NamedTuple):
    """A server process that waits for its client, and since when it is in this state."""

    pid: int
    state_change: dt.datetime


class StuckClients:
    """Watches the sessions of all replicas; `loop` is the background loop. Every replica may run it."""

    def __init__(self, database: Database, pace: Pace = USUAL) -> None:
        self._database = database
        self.loop = Loop(
            "stuck_clients",
            self.look,
            every=pace.stuck_look,
            outlives=DATABASE_ERRORS,
            failed="stuck_clients.look_failed",
        )
        # When each was first seen in this state, by time.monotonic().
        self._seen: dict[Stand, float] = {}

    async def look(self) -> int:
        """Ends sessions that have waited for their client for IDLE_SECONDS and block others.

        Returns how many it ended.
        """
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
                transaction_since=row["xact_start"],
            )
        return len(ended)
