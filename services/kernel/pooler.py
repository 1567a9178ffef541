"""Recognises a pooler that gives each transaction another connection to the server.

Celeriac needs sessions: it listens for notifications, holds locks of a session, and prepares statements.
Behind such a pooler (pgbouncer with `pool_mode = transaction` or `statement`) notifications never come and
statements fail now and then, so a service says so at its start.
"""

from __future__ import annotations

import asyncpg

from services.kernel.database import CONNECT_SECONDS, Connection, driver_url, open_connection
from services.kernel.logged_errors import Loggable

# A parameter of the session that nothing else uses.
MARK = "celeriac.session"


class NoSessions(Loggable):
    """The database is reached through a pooler without sessions."""

    def __init__(self) -> None:
        super().__init__(
            "DATABASE_URL leads through a pooler that gives each transaction another connection"
            " (pgbouncer: pool_mode = transaction or statement), where notifications never come: set"
            " pool_mode = session for this database, or connect to PostgreSQL itself"
        )


async def refuse_pooled_transactions(url: str) -> None:
    """Raises `NoSessions` if two statements of one connection need not meet the same session."""
    one, other = await _connected(url), await _connected(url)
    try:
        for connection, value in ((one, "one"), (other, "other")):
            await connection.execute(f"SET {MARK} = '{value}'")
        # The pooler gives a statement the connection that was used last: the other's.
        if await one.fetchval(f"SELECT current_setting('{MARK}', true)") != "one":
            raise NoSessions
    except asyncpg.InvalidSQLStatementNameError as error:
        # The parts of one statement met different sessions.
        raise NoSessions from error
    finally:
        one.terminate()
        other.terminate()


async def _connected(url: str) -> Connection:
    return await open_connection(driver_url(url), timeout=CONNECT_SECONDS, statement_cache_size=0)
