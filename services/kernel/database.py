"""PostgreSQL: one transaction a use case, opened where the call comes in, never committed in the middle.

This module uses asyncpg directly; sessions.py has SQLAlchemy's sessions for the services that use them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, NoReturn, TypeAlias

import asyncpg
import structlog

from services.kernel.logged_errors import for_log
from services.kernel.moments import read_any_moment
from services.kernel.outages import AWAY, CLOSED, DATABASE_ERRORS, LOST, STANDBY, NotLetIn

log = structlog.get_logger(__name__)

Connection: TypeAlias = "asyncpg.Connection[Any]"

RECONNECT_SECONDS = 1.0
CONNECT_SECONDS = 10.0
# The longest wait for a connection when all are in use.
ACQUIRE_SECONDS = 30.0
# The longest wait for a lock: less than the gateway's limit (15 s), so that the caller learns the reason.
LOCK_SECONDS = 10
# The longest that one statement may run on the server, and the longest that the client waits for its answer.
STATEMENT_SECONDS = 300
COMMAND_SECONDS = STATEMENT_SECONDS + 30
# The server ends a transaction that is idle for this long: a frozen process must not lock rows that others
# wait for.
IDLE_SECONDS = 10
# A rollback that takes longer is left to the server, which rolls back when it loses the connection.
ROLLBACK_SECONDS = 10.0


def driver_url(url: str) -> str:
    """Returns the URL for asyncpg: without a driver's name, as SQLAlchemy's have ("postgresql+asyncpg://…")."""
    return re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", url)


async def open_connection(
    url: str, session: Mapping[str, str] = MappingProxyType({}), **settings: Any
) -> Connection:
    """Returns a connection by `asyncpg.connect`; raises `ConnectionError` if the server takes none for now.

    Other refusals (wrong password, pg_hba.conf, no right to connect) last until a person mends the cause:
    they are logged, and raised as `NotLetIn`.

    `session`: parameters of the session. They are set by a statement, because a pooler such as pgbouncer
    refuses connections that state parameters which it does not know. With them, the connection also reads
    every moment that the database may hold (moments.py).
    """
    try:
        connection: Connection = await asyncpg.connect(url, **settings)
        if session:
            await _prepare(connection, session)
        return connection
    except (ConnectionError, TimeoutError):
        raise
    except CLOSED as error:
        raise ConnectionError(f"the database takes no connections: {error}") from error
    except asyncpg.PostgresError as error:
        log.error("database.refused", sqlstate=error.sqlstate, error=for_log(error))
        raise NotLetIn(for_log(error)) from error
    except (OSError, asyncpg.InternalClientError) as error:
        # Of the network, or because none of several hosts is the one that is wanted.
        raise ConnectionError(f"the database can't be reached: {error}") from error


async def _prepare(connection: Connection, session: Mapping[str, str]) -> None:
    try:
        with loss_told(connection):
            await connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in session.items()))
            await read_any_moment(connection)
    except BaseException:
        # Also when the caller is cancelled: nobody else has the connection, so nobody would close it.
        _drop(connection)
        raise


class Database:
    """Connections to the database in the role of one service: a pool, and one for each listener."""

    def __init__(
        self,
        url: str,
        pool_size: int = 16,
        application_name: str = "celeriac",
        statement_seconds: float = STATEMENT_SECONDS,
    ) -> None:
        """`pool_size` is the most connections of the pool; each listener has one of its own in addition.

        `statement_seconds` is the longest that one statement may run on the server.
        """
        self.url = driver_url(url)
        self.pool_size = pool_size
        self.server_settings = {"application_name": application_name, "timezone": "UTC"}
        self.session = {
            # None of these ends a transaction whose client stops in the middle of a statement: see
            # stuck_clients.py.
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
            "lock_timeout": f"{LOCK_SECONDS}s",
            "statement_timeout": f"{round(statement_seconds * 1000)}ms",
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

        A caller that sets a parameter of the session must reset it. Raises one of AWAY if the connection dies
        in use.
        """
        async with self._acquired() as connection:
            yield connection

    @asynccontextmanager
    async def _acquired(self, *, readonly: bool = False) -> AsyncIterator[Connection]:
        async with (await self._opened_pool()).acquire(timeout=ACQUIRE_SECONDS) as connection:
            with loss_told(connection, readonly=readonly):
                yield connection

    @asynccontextmanager
    async def _begun(self, *, readonly: bool = False, **kind: Any) -> AsyncIterator[Connection]:
        kind["readonly"] = readonly
        async with AsyncExitStack() as opened:
            # Not tried again: if no connection was free within ACQUIRE_SECONDS, a second wait takes as long.
            connection = await opened.enter_async_context(self._acquired(readonly=readonly))
            try:
                await _enter(opened, connection, kind)
            except (*AWAY, asyncpg.InterfaceError, asyncpg.InternalClientError):
                # The connection died idle when the server restarted, and so did the others of the pool: all
                # are replaced.
                _drop(connection)
                await opened.aclose()
                await (await self._opened_pool()).expire_connections()
                connection = await opened.enter_async_context(self._acquired(readonly=readonly))
                await _enter(opened, connection, kind)
            yield connection

    async def _opened_pool(self) -> asyncpg.Pool[Any]:
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self.url,
                min_size=0,
                max_size=self.pool_size,
                connect=functools.partial(open_connection, session=self.session),
                reset=_keep,
                server_settings=self.server_settings,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
            )
        return await self._pool

    async def check(self) -> None:
        """Raises one of DATABASE_ERRORS unless a statement is answered."""
        async with self.connection() as connection:
            await connection.fetchval("SELECT 1")

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """Yields the payloads of NOTIFY on the channel, over a connection of its own that is kept open.

        An empty payload comes after each (re)connection: notifications may have been missed before it, so the
        listener must look at the tables then. A notification only shortens a sleep, it never carries state.

        Losses of the connection are logged only. Any other failure of the listening is raised where the
        payloads are read.
        """
        payloads: asyncio.Queue[str | None] = asyncio.Queue()
        listener = asyncio.create_task(self._listen(channel, payloads), name=f"listen:{channel}")
        listener.add_done_callback(lambda _: payloads.put_nowait(None))
        try:
            yield _until_it_fails(listener, payloads)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self, channel: str, payloads: asyncio.Queue[str | None]) -> NoReturn:
        while True:
            try:
                await self._listen_once(channel, payloads)
            except DATABASE_ERRORS as error:
                log.warning("database.listen_failed", channel=channel, error=for_log(error))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self, channel: str, payloads: asyncio.Queue[str | None]) -> None:
        """Listens until the connection is lost."""
        connection = await open_connection(self.url, timeout=CONNECT_SECONDS)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            with loss_told(connection):
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


@contextlib.contextmanager
def loss_told(connection: Connection, *, readonly: bool = False) -> Iterator[None]:
    """Raises one of AWAY when the connection dies in use, or is one to a standby, whatever the driver raises.

    The driver raises InterfaceError for wrong use as well, which is a fault of ours, and OSError may come
    from elsewhere: both are raised unchanged while the connection is well.

    `readonly`: the transaction was begun for reading, so that a write in it is a fault of ours.
    """
    try:
        yield
    except asyncpg.ReadOnlySQLTransactionError as error:
        if readonly:
            raise
        # Closed, as the next connection may lead to the new primary.
        _drop(connection)
        raise ConnectionError(STANDBY) from error
    except AWAY:
        # Closed, so that the pool does not hand it out again: it may not know yet that it is dead.
        _drop(connection)
        raise
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        # InternalClientError: the server's last message came while no statement was running.
        if not isinstance(error, asyncpg.InternalClientError) and not is_lost(connection):
            raise
        _drop(connection)
        raise ConnectionError(LOST) from error


def is_lost(connection: Connection) -> bool:
    """Whether the connection, which the caller has from `Database`, is closed."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        # The pool has taken the lost connection back from the caller: any use of it raises.
        return True


def _drop(connection: Connection) -> None:
    if not is_lost(connection):
        connection.terminate()


async def _enter(opened: AsyncExitStack, connection: Connection, kind: dict[str, Any]) -> None:
    """Begins a transaction, which ends when `opened` is closed."""
    transaction = connection.transaction(**kind)
    await transaction.__aenter__()
    opened.push_async_exit(functools.partial(_end, connection, transaction))


async def _end(
    connection: Connection,
    transaction: asyncpg.transaction.Transaction,
    kind: type[BaseException] | None,
    *raised: Any,
) -> None:
    """Commits, or rolls back after an exception.

    The rollback takes at most ROLLBACK_SECONDS, so that a cancelled call ends even if the server hangs.
    """
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
    """Connections return to the pool without a reset; asyncpg rolls back a transaction that was left open."""


async def _until_it_fails(
    listener: asyncio.Task[NoReturn], payloads: asyncio.Queue[str | None]
) -> AsyncIterator[str]:
    while (payload := await payloads.get()) is not None:
        yield payload
    listener.result()
