"""PostgreSQL: one transaction a use case, opened where the call comes in, never committed in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1.0
CONNECT_SECONDS = 10.0


def asyncpg_url(url: str) -> str:
    """The plain "postgresql://…" that people write, as SQLAlchemy's asyncpg dialect wants it."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def driver_url(url: str) -> str:
    """The same address for asyncpg itself."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


class Database:
    """The way to the one database, as one service's role."""

    def __init__(self, url: str, pool_size: int = 8, application_name: str = "celeriac") -> None:
        self._driver_url = driver_url(url)
        self._pool_size = pool_size
        self._server_settings = {
            "application_name": application_name,
            "timezone": "UTC",
            # A frozen process must not hold rows that others wait for.
            "idle_in_transaction_session_timeout": "10s",
        }
        self._driver_pool: asyncpg.Pool[Any] | None = None
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            # A connection that died with a restarted server is replaced before use, not found by a caller.
            pool_pre_ping=True,
            # The one used last is used next: with little to do, the others prepare no statements.
            pool_use_lifo=True,
            connect_args={"server_settings": self._server_settings},
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One read-write transaction: committed at the end, rolled back when anything is raised."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """One read-only transaction on one snapshot: pages and counts in it agree with each other."""
        snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with AsyncSession(snapshot, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def driver_connection(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A connection of asyncpg's own, for COPY and bulk statements that are prepared once.

        Transactions on it are asyncpg's (`async with connection.transaction()`). Whoever sets something for
        the session sets it back. A connection that died is replaced; one that dies in use raises.
        """
        async with (await self._opened_driver_pool()).acquire() as connection:
            yield connection

    async def _opened_driver_pool(self) -> asyncpg.Pool[Any]:
        """Of its own: a connection by way of SQLAlchemy, with its look at it before use, costs five times as
        much, which is most of what a short statement takes of this process."""
        if self._driver_pool is None:
            self._driver_pool = asyncpg.create_pool(
                self._driver_url,
                min_size=0,
                max_size=self._pool_size,
                reset=_keep,
                server_settings=self._server_settings,
                timeout=CONNECT_SECONDS,
            )
        return await self._driver_pool

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
                connection = await asyncpg.connect(self._driver_url, timeout=CONNECT_SECONDS)
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                log.warning("database.listen_failed", channel=channel, error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)
                continue
            lost = asyncio.Event()
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(channel, lambda *notice: payloads.put_nowait(str(notice[3])))
                payloads.put_nowait("")
                await lost.wait()
            finally:
                connection.terminate()

    async def close(self) -> None:
        if self._driver_pool is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._driver_pool.close()
        await self.engine.dispose()


async def _keep(_: asyncpg.Connection[Any]) -> None:
    """Connections go back as they are; asyncpg rolls back what was left open."""


async def _forever(payloads: asyncio.Queue[str]) -> AsyncIterator[str]:
    while True:
        yield await payloads.get()
