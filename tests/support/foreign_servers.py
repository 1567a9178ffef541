"""Servers of an application in production: a PostgreSQL that checks passwords, a broker with ACL users."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import redis

from services.kernel.database_address import as_user, in_database
from tests.support.processes import ROOT
from tests.support.servers import Valkey, temporary_postgres, temporary_valkey

PAGE = ROOT / "docs/your-own-servers.md"
PASSWORD = "of-the-login"
# Superusers without a password, as the administrator of the machine; all others with theirs.
ACCESS = "local all postgres trust\nlocal all all scram-sha-256\n"


@dataclass(frozen=True)
class Foreign:
    """`database_url` is of the administrator, in the application's database `shop`."""

    database_url: str
    broker: Valkey

    def login(self, name: str = "celeriac_login", database: str = "shop") -> str:
        """The URL of a login made by `make_login`."""
        return in_database(as_user(self.database_url, name, PASSWORD), database)

    async def make_login(self, rights: str, name: str = "celeriac_login") -> None:
        await run_as(self.database_url, f"CREATE ROLE {name} LOGIN {rights} PASSWORD '{PASSWORD}'")

    def make_broker_user(self) -> str:
        """Makes the ACL user as the page says; returns the broker's URL for it."""
        [rights] = re.findall(r"ACL SETUSER celeriac on >password (.*)", PAGE.read_text())
        with redis.Redis(self.broker.host, self.broker.port) as client:
            client.execute_command("ACL", "SETUSER", "celeriac", "on", f">{PASSWORD}", *rights.split())
        return f"redis://celeriac:{PASSWORD}@{self.broker.host}:{self.broker.port}/0"


async def run_as(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.contextmanager
def foreign_servers() -> Iterator[Foreign]:
    """Servers with the database `shop`, which has a table `orders`."""
    with foreign_postgres() as url, temporary_valkey() as broker:
        yield Foreign(url, broker)


@contextlib.contextmanager
def foreign_postgres() -> Iterator[str]:
    with temporary_postgres(fsync=False) as url:
        asyncio.run(_prepare(url))
        yield in_database(url, "shop")


async def _prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        access = await connection.fetchval("SHOW hba_file")
        await asyncio.to_thread(Path(access).write_text, ACCESS)
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute("CREATE DATABASE shop")
    finally:
        await connection.close()
    await run_as(in_database(url, "shop"), "CREATE TABLE orders (id int)")
