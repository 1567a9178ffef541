"""PostgreSQL: one transaction a use case, opened where the call comes in, never committed in the middle.

On asyncpg itself; SQLAlchemy's sessions, for who works with them, are in sessions.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import structlog

from services.kernel.logged_errors import for_log

log = structlog.get_logger(__name__)

Connection: TypeAlias = "asyncpg.Connection[Any]"

RECONNECT_SECONDS = 1.0
CONNECT_SECONDS = 10.0
# Whoever finds all connections in use gives up after this.
ACQUIRE_SECONDS = 30.0
# Whoever waits for a lock gives up after this: before the gateway does (15 s), so that the caller hears why.
LOCK_SECONDS = 10
# No single statement runs longer on the server, and none is waited for longer by the client.
STATEMENT_SECONDS = 300
COMMAND_SECONDS = STATEMENT_SECONDS + 30
# A transaction that does nothing for this long is ended by the server: a frozen process must not hold rows
# that others wait for.
IDLE_SECONDS = 10
# A rollback that takes longer is left to the server, which rolls back when it loses the connection.
ROLLBACK_SECONDS = 10.0
# What is raised while a database is away, restarting or at its limits: a loop tries again later.
DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
# Of these: it is away, full, or was restarted under a connection that nobody used.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # The server ended the connection because its transaction stood still (IDLE_SECONDS), or took too long.
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    OSError,
)
# Another transaction has what this one needs. Nothing was done: the same may be tried again.
HELD_UP = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
# What a server says that takes no connections for now, whoever asks: it starts, stops, or has no room; the
# database is closed (ALLOW_CONNECTIONS false), or it is being dropped, restored or renamed. Some of these are
# said of statements, too, where they are faults: only of a connection that was asked for do they mean this.
CLOSED = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidCatalogNameError,
)
LOST = "the connection to the database was lost"


def driver_url(url: str) -> str:
    """The address for asyncpg, where it names a driver as SQLAlchemy's do ("postgresql+asyncpg://…")."""
    return re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", url)


async def open_connection(url: str, **settings: Any) -> Connection:
    """A connection by `asyncpg.connect`; raises `ConnectionError` where the server takes none for now.

    Whoever it does not let in (wrong password, pg_hba.conf, no right to connect) is refused until a person
    mends it: that is logged, and raised as what it is.
    """
    try:
        return await asyncpg.connect(url, **settings)
    except CLOSED as error:
        raise ConnectionError(f"the database takes no connections now: {error}") from error
    except asyncpg.PostgresError as error:
        log.error("database.refused", sqlstate=error.sqlstate, error=for_log(error))
        raise


class Database:
    """The way to the one database, as one service's role."""

    def __init__(self, url: str, pool_size: int = 16, application_name: str = "celeriac") -> None:
        """`pool_size`: connections at most; each listener has one of its own besides."""
        self.url = driver_url(url)
        self.pool_size = pool_size
        self.server_settings = {
            "application_name": application_name,
            "timezone": "UTC",
            # None of these ends a transaction whose client stops in the middle of a statement: see
            # stuck_clients.py.
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
            "lock_timeout": f"{LOCK_SECONDS}s",
            "statement_timeout": f"{STATEMENT_SECONDS}s",
        }
        self._pool: asyncpg.Pool[Any] | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One read-write transaction: committed at the end, rolled back when anything is raised."""
        async with self._begun() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """One read-only transaction on one snapshot: pages and counts in it agree with each other."""
        async with self._begun(isolation="repeatable_read", readonly=True) as connection:
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection without a transaction, for COPY and for statements that are each their own.

        Whoever sets something for the session sets it back. A connection that dies in use raises.
        """
        async with (await self._opened_pool()).acquire(timeout=ACQUIRE_SECONDS) as connection:
            try:
                yield connection
            except AWAY:
                # So that nobody takes it again: it may not know yet that it is closed.
                _drop(connection)
                raise
            except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                # The second, of a server's last words that came while nobody was asking. The first is said of
                # wrong use, too, which is a fault of ours.
                if isinstance(error, asyncpg.InterfaceError) and not is_lost(connection):
                    raise
                _drop(connection)
                raise ConnectionError(LOST) from error

    @asynccontextmanager
    async def _begun(self, **kind: Any) -> AsyncIterator[Connection]:
        async with AsyncExitStack() as opened:
            # Not tried again: whoever found no connection in all that time would wait as long once more.
            connection = await opened.enter_async_context(self.connection())
            try:
                await _enter(opened, connection, kind)
            except (*AWAY, asyncpg.InterfaceError, asyncpg.InternalClientError):
                # It died before it was used, with a server that restarted, and so did the pool's others: new
                # ones take their places.
                _drop(connection)
                await opened.aclose()
                await (await self._opened_pool()).expire_connections()
                connection = await opened.enter_async_context(self.connection())
                await _enter(opened, connection, kind)
            yield connection

    async def _opened_pool(self) -> asyncpg.Pool[Any]:
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self.url,
                min_size=0,
                max_size=self.pool_size,
                connect=open_connection,
                reset=_keep,
                server_settings=self.server_settings,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
            )
        return await self._pool

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """Payloads of NOTIFY on the channel, over a connection of its own that comes back by itself.

        An empty payload is given after each (re)connection: notices may have been missed before it, so
        whoever listens looks at the tables then. A notice only shortens sleep, it never carries state.
        """
        payloads: asyncio.Queue[str] = asyncio.Queue()
        listener = asyncio.create_task(self._listen(channel, payloads), name=f"listen:{channel}")
        try:
            yield _forever(payloads)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, channel: str, payloads: asyncio.Queue[str]) -> None:
        while True:
            try:
                await self._listen_once(channel, payloads)
            except (*DATABASE_ERRORS, asyncpg.InternalClientError) as error:
                log.warning("database.listen_failed", channel=channel, error=for_log(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, channel: str, payloads: asyncio.Queue[str]) -> None:
        """Until the connection is lost."""
        connection = await open_connection(self.url, timeout=CONNECT_SECONDS)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(channel, lambda *notice: payloads.put_nowait(str(notice[3])))
            payloads.put_nowait("")
            await lost.wait()
        finally:
            connection.terminate()

    async def close(self) -> None:
        if self._pool is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._pool.close()


def is_lost(connection: Connection) -> bool:
    """Whether the connection, which the caller has from `Database`, has come to its end."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        # The pool takes a lost connection away from whoever holds it, who can't ask it any more.
        return True


def _drop(connection: Connection) -> None:
    if not is_lost(connection):
        connection.terminate()


async def _enter(opened: AsyncExitStack, connection: Connection, kind: dict[str, Any]) -> None:
    """Begins a transaction, which ends with `opened`."""
    transaction = connection.transaction(**kind)
    await transaction.__aenter__()
    opened.push_async_exit(functools.partial(_end, connection, transaction))


async def _end(
    connection: Connection,
    transaction: asyncpg.transaction.Transaction,
    kind: type[BaseException] | None,
    *raised: Any,
) -> None:
    """Commits, or rolls back what was cut short. A server that does not answer keeps no cancelled call."""
    if kind is None:
        await transaction.__aexit__(None, None, None)
        return
    try:
        async with asyncio.timeout(ROLLBACK_SECONDS):
            await transaction.__aexit__(kind, *raised)
    except TimeoutError:
        log.warning("database.rollback_not_answered", seconds=ROLLBACK_SECONDS)
        _drop(connection)


async def _keep(_: asyncpg.Connection[Any]) -> None:
    """Connections go back as they are; asyncpg rolls back what was left open."""


async def _forever(payloads: asyncio.Queue[str]) -> AsyncIterator[str]:
    while True:
        yield await payloads.get()
