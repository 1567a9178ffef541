"""Connections for lists and searches, apart from those of all other calls.

A search may read much. So a few connections of their own serve lists and searches, and each of their
statements ends after a bounded time: whoever looks up or revokes one task never waits behind them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.database import Database
from services.kernel.errors import Exhausted
from services.kernel.sessions import Sessions, opened_sessions

# Lists and searches that are worked on at the same moment. More of them would hold up a revoke: between two
# of its steps each may have a turn of some milliseconds on the event loop.
AT_ONCE = 3
# The longest that a list waits for one of these connections, and the longest that it then takes.
# Both together are less than the gateway's limit (15 s), so that the caller learns the reason.
WAIT_SECONDS = 8.0
LIST_SECONDS = 5.0
RETRY_SECONDS = 5.0

BUSY = f"{AT_ONCE} lists and searches run, and none of them ended within {WAIT_SECONDS:g} s; try again"
TOO_LONG = (
    f"the search was ended after {LIST_SECONDS:g} s; narrow it by start_time and end_time, or by another"
    " filter, or try again"
)


class Lists:
    """Hands out read-only sessions to lists and searches, `AT_ONCE` at the same moment."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._room = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One read-only transaction on one snapshot.

        Raises `Exhausted` if there was no room for it in time, or if it took too long.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise Exhausted(BUSY, RETRY_SECONDS) from None
        limit = asyncio.timeout(LIST_SECONDS)
        try:
            async with limit, self._sessions.reading() as session:
                yield session
        except (asyncpg.QueryCanceledError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not limit.expired():
                raise
            raise Exhausted(TOO_LONG, RETRY_SECONDS) from error
        finally:
            self._room.release()


@asynccontextmanager
async def opened_lists(database: Database) -> AsyncIterator[Lists]:
    """Yields the connections for lists of the database; closes them at the end."""
    name = f"{database.server_settings['application_name']}-lists"
    apart = Database(database.url, AT_ONCE, name, LIST_SECONDS)
    async with opened_sessions(apart) as sessions:
        yield Lists(sessions)
