"""A server that takes no connections for now is away; one that doesn't let us in says why in the log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from services.kernel import database as module
from services.kernel.database import Database
from services.kernel.grpc.errors import outage_of
from services.kernel.sessions import opened_sessions
from tests.support.outages import end_connections, first_line_of


@dataclass(frozen=True)
class Server:
    """A database as its superuser has it, and an ordinary role that uses it."""

    admin: asyncpg.Connection[Any]
    database: str
    role: str
    # Of the role, in the database.
    url: str

    async def make(self, statement: str) -> None:
        await self.admin.execute(statement.format(database=self.database, role=self.role))

    async def sqlstate(self) -> str:
        """What the server says to whoever connects now; empty when it lets them in."""
        try:
            await (await asyncpg.connect(self.url)).close()
        except asyncpg.PostgresError as error:
            return str(error.sqlstate)
        return ""

    async def until(self, sqlstate: str) -> None:
        async with asyncio.timeout(20):
            while await self.sqlstate() != sqlstate:  # noqa: ASYNC110 # a reload of pg_hba.conf tells nobody
                await asyncio.sleep(0.02)


@pytest.fixture
async def server(postgres_url: str, database_url: str) -> AsyncIterator[Server]:
    admin = await asyncpg.connect(postgres_url)
    database, role = str(make_url(database_url).database), f"visitor_{uuid.uuid4().hex[:8]}"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    url = make_url(database_url).set(username=role, password="wrong")
    yield Server(admin, database, role, url.render_as_string(hide_password=False))
    await end_connections(database_url)
    await admin.execute(f"DROP ROLE {role}")
    await admin.close()


Refusal: TypeAlias = Callable[[Server], AbstractAsyncContextManager[None]]


def by_sql(sqlstate: str, refuse: str, allow: str) -> Refusal:
    @asynccontextmanager
    async def refusing(server: Server) -> AsyncIterator[None]:
        await server.make(refuse)
        try:
            await server.until(sqlstate)
            yield
        finally:
            await server.make(allow)

    return refusing


def by_pg_hba(sqlstate: str, method: str) -> Refusal:
    @asynccontextmanager
    async def refusing(server: Server) -> AsyncIterator[None]:
        path = Path(await server.admin.fetchval("SHOW hba_file"))
        try:
            with first_line_of(path, f"local {server.database} {server.role} {method}"):
                await server.make("SELECT pg_reload_conf()")
                await server.until(sqlstate)
                yield
        finally:
            await server.make("SELECT pg_reload_conf()")
            await server.until("")

    return refusing


NOT_ACCEPTING = by_sql(
    "55000",
    "ALTER DATABASE {database} ALLOW_CONNECTIONS false",
    "ALTER DATABASE {database} ALLOW_CONNECTIONS true",
)
AWAY: dict[str, Refusal] = {
    "takes no connections": NOT_ACCEPTING,
    "is being replaced": by_sql(
        "3D000",
        "ALTER DATABASE {database} RENAME TO {database}_before",
        "ALTER DATABASE {database}_before RENAME TO {database}",
    ),
    "is full": by_sql(
        "53300",
        "ALTER DATABASE {database} CONNECTION LIMIT 0",
        "ALTER DATABASE {database} CONNECTION LIMIT -1",
    ),
    "has no room for the role": by_sql(
        "53300", "ALTER ROLE {role} CONNECTION LIMIT 0", "ALTER ROLE {role} CONNECTION LIMIT -1"
    ),
}
NOT_LET_IN: dict[str, tuple[Refusal, str, str]] = {
    "wrong password": (by_pg_hba("28P01", "scram-sha-256"), "28P01", "password authentication failed"),
    "pg_hba.conf": (by_pg_hba("28000", "reject"), "28000", "pg_hba.conf rejects connection"),
    "no login": (
        by_sql("28000", "ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"),
        "28000",
        "is not permitted to log in",
    ),
    "no right to connect": (
        by_sql(
            "42501",
            "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {database} TO PUBLIC",
        ),
        "42501",
        "permission denied for database",
    ),
}


async def by_database(url: str, kind: str) -> None:
    database = Database(url)
    try:
        async with getattr(database, kind)() as connection:
            await connection.fetchval("SELECT 1")
    finally:
        await database.close()


async def by_sessions(url: str, kind: str) -> None:
    async with opened_sessions(Database(url)) as sessions, getattr(sessions, kind)() as session:
        await session.scalar(text("SELECT 1"))


WAYS = [
    *((by_database, kind) for kind in ("transaction", "reading", "connection")),
    *((by_sessions, kind) for kind in ("transaction", "reading")),
]
all_ways = pytest.mark.parametrize(("way", "kind"), WAYS)


@all_ways
@pytest.mark.parametrize("refusal", AWAY.values(), ids=AWAY.keys())
async def test_a_server_that_takes_no_connections_for_now_is_an_outage(
    server: Server, refusal: Refusal, way: Any, kind: str
) -> None:
    async with refusal(server):
        with pytest.raises(ConnectionError, match="takes no connections: ") as found:
            await way(server.url, kind)
    outage = outage_of(found.value)
    assert outage is not None
    assert "the database" in outage.message
    await way(server.url, kind)


@all_ways
@pytest.mark.parametrize(("refusal", "sqlstate", "words"), NOT_LET_IN.values(), ids=NOT_LET_IN.keys())
async def test_whoever_is_not_let_in_is_no_outage_and_the_log_says_why(
    server: Server, refusal: Refusal, sqlstate: str, words: str, way: Any, kind: str
) -> None:
    async with refusal(server):
        with capture_logs() as logged, pytest.raises(Exception, match=words) as found:
            await way(server.url, kind)
    assert outage_of(found.value) is None
    assert [(entry["event"], entry["log_level"], entry["sqlstate"]) for entry in logged] == [
        ("database.refused", "error", sqlstate)
    ]
    assert words in logged[0]["error"]
    assert "wrong" not in str(logged), "the password"


async def test_a_pool_and_a_listener_go_on_once_connections_are_taken_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.01)
    database = Database(server.url)
    async with asyncio.timeout(60), database.listening("notes_changed") as notices:
        assert await anext(notices) == ""
        async with database.transaction() as connection:
            before = connection.get_server_pid()
        async with NOT_ACCEPTING(server):
            await server.make(
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE usename = '{role}'"
            )
            for _ in range(3):
                with pytest.raises(ConnectionError):
                    async with database.transaction():
                        pass
        assert await anext(notices) == ""
        async with database.transaction() as connection:
            assert connection.get_server_pid() != before
    await database.close()


@pytest.mark.parametrize("kind", ["transaction", "reading", "connection"])
async def test_a_statement_that_comes_too_early_is_no_outage(server: Server, kind: str) -> None:
    """Of a statement, the same SQLSTATE means a fault of ours."""
    database = Database(server.url)
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError) as found:
        async with getattr(database, kind)() as connection:
            await connection.fetchval("SELECT lastval()")
    assert outage_of(found.value) is None
    await database.close()
