"""Access to PostgreSQL by SQLAlchemy sessions.

They take some 20 MB of memory, and four times as long for a short statement as asyncpg alone, so the
scheduler does not use them (docs/decisions/scheduler-memory.md).
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
    COMMAND_SECONDS,
    CONNECT_SECONDS,
    Database,
    open_connection,
)
from services.kernel.outages import DATABASE_ERRORS, LOST, STANDBY


def asyncpg_url(url: str) -> str:
    """Returns a plain "postgresql://…" URL in the form that SQLAlchemy needs for asyncpg."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


class Sessions:
    """Transactions as SQLAlchemy sessions, on a pool of their own, with the settings of `database`.

    As with `Database`, `ConnectionError` is raised when a connection is lost or none can be had, and one of
    `DATABASE_ERRORS` for whatever else passes by itself: others hold a lock for too long, the server has no
    room. Any other error of the server, raised as SQLAlchemy's, is a fault of a statement. A statement with a
    list of parameters is refused: use arrays.
    """

    def __init__(self, database: Database) -> None:
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(database.url),
            async_creator=functools.partial(
                open_connection,
                database.url,
                session=database.session,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=database.server_settings,
            ),
            pool_size=database.pool_size,
            max_overflow=0,
            pool_timeout=ACQUIRE_SECONDS,
            # A connection that broke when the server restarted is replaced before a caller gets it.
            pool_pre_ping=True,
            # The connection used last is used next, so that under low load few of them prepare statements.
            pool_use_lifo=True,
            # Keeps parameters out of the texts of errors, which may be logged.
            hide_parameters=True,
        )
        event.listen(self.engine.sync_engine, "do_executemany", _refuse_a_list)
        # The same pool with other options. Made once, as that takes longer than a short query.
        self._snapshots = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One read-write transaction: committed at the end, rolled back when anything is raised."""
        async with _begun(self.engine) as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One read-only transaction on one snapshot: pages and counts in it agree with each other."""
        async with _begun(self._snapshots, readonly=True) as session:
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


@asynccontextmanager
async def opened_sessions(database: Database) -> AsyncIterator[Sessions]:
    """Yields sessions for the database; closes them at the end."""
    sessions = Sessions(database)
    try:
        yield sessions
    finally:
        await sessions.close()


@asynccontextmanager
async def _begun(engine: AsyncEngine, *, readonly: bool = False) -> AsyncIterator[AsyncSession]:
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session
    except PoolTimeoutError as error:
        raise ConnectionError("no connection to the database came free") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise ConnectionError(LOST) from error
        # The dialect wraps the driver's error: that one is the cause of `orig`.
        cause = error.orig.__cause__ if error.orig is not None else None
        if isinstance(cause, asyncpg.ReadOnlySQLTransactionError) and not readonly:
            raise ConnectionError(STANDBY) from error
        if isinstance(cause, DATABASE_ERRORS):
            raise cause from error
        raise
    except asyncpg.InterfaceError as error:
        # Raised without SQLAlchemy's wrapping only where a dead connection is given back.
        raise ConnectionError(LOST) from error


def _refuse_a_list(*_: object) -> NoReturn:
    # The driver would use executemany, which hangs if its task is cancelled meanwhile
    # (docs/decisions/kernel-locks.md).
    raise RuntimeError("a list of parameters for one statement: give it arrays, and use unnest()")
