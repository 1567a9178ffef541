"""A pgbouncer before the database: by session everything works, by transaction it is refused by name."""

from __future__ import annotations

import asyncio
import contextlib
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.kernel.database import Database
from services.kernel.migrations import migrate
from services.kernel.pooler import NoSessions, refuse_pooled_transactions
from services.kernel.sessions import opened_sessions
from tests.support.calls import eventually
from tests.support.ports import free_port
from tests.support.sql import fetch_sync

PGBOUNCER = shutil.which("pgbouncer")


@contextlib.contextmanager
def pgbouncer(database_url: str, mode: str) -> Iterator[str]:
    """With its defaults, but for the mode; yields the URL through it."""
    if PGBOUNCER is None:
        pytest.skip("Debian's pgbouncer is not installed")
    url, port = make_url(database_url), free_port()
    with tempfile.TemporaryDirectory(prefix="celeriac-bouncer-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{url.database} = host={url.query['host']} dbname={url.database}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users\npool_mode = {mode}\n"
        )
        # The server's own user, who may enter the folder of its socket.
        owner = pwd.getpwuid(Path(fetch_sync(database_url, "SHOW data_directory")[0][0]).stat().st_uid)
        process = subprocess.Popen(
            [PGBOUNCER, "-u", owner.pw_name, str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL
        )
        through = f"postgresql://postgres@127.0.0.1:{port}/{url.database}"
        try:
            eventually(lambda: asyncio.run(_answers(through)))
            yield through
        finally:
            process.terminate()
            process.wait()


async def _answers(url: str) -> bool:
    try:
        await (await asyncpg.connect(url, timeout=5)).close()
    except OSError:
        return False
    return True


@pytest.fixture
def by_session(empty_database_url: str) -> Iterator[str]:
    with pgbouncer(empty_database_url, "session") as url:
        yield url


@pytest.fixture
def by_transaction(database_url: str) -> Iterator[str]:
    with pgbouncer(database_url, "transaction") as url:
        yield url


async def test_by_session_migrations_transactions_sessions_and_notices_work(by_session: str) -> None:
    await migrate(by_session, "audit")
    await refuse_pooled_transactions(by_session)
    database = Database(by_session)
    async with database.listening("celeriac_test") as notices, database.transaction() as connection:
        assert await anext(notices) == ""
        assert await connection.fetchval("SHOW lock_timeout") == "10s"
        await connection.execute("NOTIFY celeriac_test, 'here'")
    async with opened_sessions(database) as sessions, sessions.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM celery_audit_logs"))).scalar() == 0
    await database.close()


async def test_by_transaction_it_is_refused_by_name_with_the_setting_that_helps(by_transaction: str) -> None:
    with pytest.raises(NoSessions, match="pool_mode = session"):
        await refuse_pooled_transactions(by_transaction)


async def test_without_a_pooler_nothing_is_refused(database_url: str) -> None:
    await refuse_pooled_transactions(database_url)
