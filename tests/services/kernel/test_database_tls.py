"""A database that takes TLS alone, with a client certificate: migrating, serving and listening work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from services.kernel.database import Database
from services.kernel.migrations import migrate
from services.kernel.outages import NotLetIn
from services.kernel.sessions import opened_sessions
from tests.support.debian_postgres import postgres_with_tls


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[tuple[str, int]]:
    with postgres_with_tls(certificates) as address:
        yield address


def url_of(server: tuple[str, int], state: Path, mode: str) -> str:
    host, port = server
    certs = state / "certs"
    files = f"sslrootcert={state}/ca.pem&sslcert={certs}/monitor.crt&sslkey={certs}/monitor.key"
    return f"postgresql://postgres@{host}:{port}/postgres?sslmode={mode}&{files}"


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_migrations_statements_and_sessions_go_over_tls(
    server: tuple[str, int], certificates: Path, mode: str
) -> None:
    url = url_of(server, certificates, mode)
    await migrate(url, "audit")
    database = Database(url)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    async with opened_sessions(database) as sessions, sessions.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM celery_audit_logs"))).scalar() == 0
    async with database.listening("celeriac_test") as notices:
        assert await anext(notices) == ""
    await database.close()


async def test_without_tls_it_is_refused(server: tuple[str, int], certificates: Path) -> None:
    with pytest.raises(NotLetIn, match="no encryption"):
        await migrate(url_of(server, certificates, "disable"), "audit")
