"""PostgreSQL by SQLAlchemy's sessions, for services that work with them.

They take some 20 MB of a process, and four times as long for a short statement: the scheduler does without
(docs/decisions/scheduler-memory.md).
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from services.kernel.database import (
    ACQUIRE_SECONDS,
    AWAY,
    COMMAND_SECONDS,
    CONNECT_SECONDS,
    HELD_UP,
    LOST,
    Database,
    open_connection,
)

# What a session raises while the database is away or restarting, or when it refuses a statement.
SESSION_ERRORS = (DBAPIError, asyncpg.InterfaceError, *AWAY, *HELD_UP)


def asyncpg_url(url: str) -> str:
    """The plain "postgresql://…" that people write, as SQLAlchemy's asyncpg dialect wants it."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


class Sessions:
    """Transactions as sessions, on a pool of their own, with the settings of the database handed in.

    A connection that is lost, or not to be had, raises `ConnectionError`, and a lock that others hold one of
    `HELD_UP`, as the database's own ways do. A statement is executed once, never with a list of parameters:
    give it arrays.
    """

    def __init__(self, database: Database) -> None:
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(database.url),
            async_creator=functools.partial(
                open_connection,
                database.url,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=database.server_settings,
            ),
            pool_size=database.pool_size,
            max_overflow=0,
            pool_timeout=ACQUIRE_SECONDS,
            # A connection that died with a restarted server is replaced before use, not found by a caller.
            pool_pre_ping=True,
            # The one used last is used next: with little to do, the others prepare no statements.
            pool_use_lifo=True,
            # An error's text is without them, wherever it comes to be written.
            hide_parameters=True,
        )
        event.listen(self.engine.sync_engine, "do_executemany", _refuse_a_list)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One read-write transaction: committed at the end, rolled back when anything is raised."""
        async with _begun(self.engine) as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One read-only transaction on one snapshot: pages and counts in it agree with each other."""
        snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with _begun(snapshot) as session:
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


@asynccontextmanager
async def opened_sessions(database: Database) -> AsyncIterator[Sessions]:
    """Closed at the end."""
    sessions = Sessions(database)
    try:
        yield sessions
    finally:
        await sessions.close()


@asynccontextmanager
async def _begun(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session
    except PoolTimeoutError as error:
        raise ConnectionError("no connection to the database came free") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise ConnectionError(LOST) from error
        # The driver's own error is the cause of what the dialect made of it.
        if error.orig is not None and isinstance(error.orig.__cause__, HELD_UP):
            raise error.orig.__cause__ from error
        raise


def _refuse_a_list(*_: object) -> NoReturn:
    # The driver would execute it by executemany, which never ends when its task is cancelled in the middle
    # (docs/decisions/kernel-locks.md).
    raise RuntimeError("a list of parameters for one statement: give it arrays, and use unnest()")
