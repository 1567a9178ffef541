"""What takes events in: our relay and monitor, Flower, and celery-exporter; whole processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import redis

from benchmarks.monitor.watching import Lags, page, scrape, watching
from benchmarks.processes import cpu_until_now, peak_memory, usage_of
from benchmarks.servers import Valkey, as_its_role, environment_of, temporary_postgres, temporary_valkey
from benchmarks.users import python_of_users
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from services.kernel.migrations import migrate
from tests.support.ports import free_port
from tests.support.processes import ROOT
from tests.support.servers import create_database

READY_SECONDS = 60.0
# As many tasks as our monitor has in memory by default.
TASKS_IN_MEMORY = 100_000
# The number of the server's database that the relay keeps events in, as under `make up`.
RELAY_DATABASE = 2
# A folder with a checkout of https://github.com/danihodovic/celery-exporter, and .venv with what it needs.
EXPORTER = "CELERIAC_BENCHMARK_EXPORTER"


@dataclass
class Taker:
    """A system that takes events in.

    `processes`: those that count as taking in. `servers`: others that work for it. `taken_in` asks how many
    events of tasks were taken in. `restart` starts the process that reads anew.
    """

    broker: Valkey
    metrics_url: str
    taken_in: Callable[[], int]
    processes: dict[str, subprocess.Popen[bytes]]
    servers: dict[str, int] = field(default_factory=dict)
    database_url: str = ""
    lags: Lags = field(default_factory=Lags)
    restart: Callable[[], None] = lambda: None

    def cpu(self) -> dict[str, float]:
        """Returns the CPU seconds of each process and server until now."""
        own = {name: usage_of(process.pid).cpu for name, process in self.processes.items()}
        return own | {name: cpu_until_now(pid) for name, pid in self.servers.items()}

    def peaks(self) -> dict[str, float]:
        return {name: peak_memory(process.pid) for name, process in self.processes.items()}

    def rows(self) -> dict[str, int]:
        """Returns how many tasks are stored in each state."""
        return asyncio.run(_rows(self.database_url))


@contextlib.contextmanager
def ours() -> Iterator[Taker]:
    """Relay and monitor on PostgreSQL and Valkey, watched by ten readers."""
    with ExitStack() as opened:
        broker = opened.enter_context(temporary_valkey())
        postgres = opened.enter_context(temporary_postgres())
        state = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bench-")))
        database_url = asyncio.run(create_database(postgres))
        asyncio.run(migrate(database_url, "monitor"))
        ensure_certificates(state)
        issuer = LocalIssuer(state)
        issuer.ensure_key()
        token = issuer.mint("admin", subject="bench")
        address, metrics, relay_metrics = (f"127.0.0.1:{free_port()}" for _ in range(3))
        environment = as_its_role(
            "monitor",
            environment_of(
                "monitor",
                state,
                database_url,
                broker,
                CELERIAC_RELAY_URL=f"redis://{broker.host}:{broker.port}/{RELAY_DATABASE}",
                CELERIAC_LISTEN=address,
                CELERIAC_DRAIN_SECONDS="0",
                CELERY_LOG_LEVEL="WARNING",
            ),
        )
        # What it makes Python compile anew at each start would stay in memory.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def started(command: str, at: str) -> subprocess.Popen[bytes]:
            port = at.rpartition(":")[2]
            arguments = (python_of_users(), "-m", "services.monitor", command)
            return _started(opened, state, arguments, {**environment, "CELERIAC_METRICS_PORT": port})

        url = f"http://{metrics}/metrics"
        processes = {"relay": started("relay", relay_metrics)}
        _until(lambda: scrape(f"http://{relay_metrics}/metrics").get("celeriac_relay_up") == 1)

        def serve() -> None:
            processes["monitor"] = started("serve", metrics)
            _until(lambda: scrape(url).get("celery_event_stream_up") == 1)

        serve()
        taker = Taker(
            broker,
            url,
            lambda: int(scrape(url).get("celery_tasks_total", 0)),
            processes,
            {"valkey": _pid(broker), "postgres": _postmaster(postgres)},
            database_url,
            restart=serve,
        )
        root, key, certificate = (
            (state / name).read_bytes() for name in ("ca.pem", "certs/gateway.key", "certs/gateway.crt")
        )
        credentials = grpc.ssl_channel_credentials(root, key, certificate)
        channel = opened.enter_context(grpc.secure_channel(address, credentials))
        taker.lags = opened.enter_context(watching(channel, token))
        yield taker


@contextlib.contextmanager
def flower() -> Iterator[Taker]:
    with ExitStack() as opened:
        broker = opened.enter_context(temporary_valkey())
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-flower-")))
        port = free_port()
        arguments = (
            *(sys.executable, "-m", "celery", f"--broker=redis://{broker.host}:{broker.port}/0", "flower"),
            *(f"--port={port}", "--address=127.0.0.1", f"--max_tasks={TASKS_IN_MEMORY}"),
        )
        process = _started(opened, folder, arguments, os.environ)
        url = f"http://127.0.0.1:{port}/metrics"
        _until(lambda: _hears(broker, url))
        yield Taker(
            broker,
            url,
            lambda: int(scrape(url).get("flower_events_total", 0)),
            {"flower": process},
            {"valkey": _pid(broker)},
        )


def exporter_folder() -> Path | None:
    """Returns where celery-exporter is; None if it is not to be had here."""
    folder = os.environ.get(EXPORTER)
    return Path(folder) if folder else None


@contextlib.contextmanager
def exporter() -> Iterator[Taker]:
    folder = exporter_folder()
    assert folder is not None
    with ExitStack() as opened:
        broker = opened.enter_context(temporary_valkey())
        logs = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-exporter-")))
        port = free_port()
        arguments = (
            *(str(folder / ".venv/bin/python"), str(folder / "cli.py")),
            *(f"--broker-url=redis://{broker.host}:{broker.port}/0", f"--port={port}", "--host=127.0.0.1"),
            # It ends at the first cut otherwise.
            *("--retry-interval=1", "--log-level=WARNING"),
        )
        process = _started(opened, logs, arguments, os.environ, folder)
        url = f"http://127.0.0.1:{port}/metrics"
        _until(lambda: _hears(broker, url))

        def taken_in() -> int:
            kinds = ("sent", "received", "started", "succeeded", "failed", "retried")
            found = scrape(url)
            return int(sum(found.get(f"celery_task_{kind}_total", 0) for kind in kinds))

        yield Taker(broker, url, taken_in, {"exporter": process}, {"valkey": _pid(broker)})


def _started(
    opened: ExitStack,
    folder: Path,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    where: Path = ROOT,
) -> subprocess.Popen[bytes]:
    log = opened.enter_context((folder / "output.log").open("ab"))
    process = subprocess.Popen(arguments, cwd=where, env=dict(environment), stdout=log, stderr=log)
    opened.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _hears(broker: Valkey, url: str) -> bool:
    """Whether it answers, and somebody listens to the events."""
    with redis.Redis(broker.host, broker.port) as client:
        listens: Any = client.pubsub_numpat()
    return bool(page(url)) and listens > 0


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready after {READY_SECONDS:.0f} s")
        time.sleep(0.05)


def _pid(broker: Valkey) -> int:
    assert broker.process is not None
    return broker.process.pid


def _postmaster(url: str) -> int:
    """The process id of the server whose socket's folder the URL names: that of its data."""
    folder = Path(url.partition("host=")[2])
    return int((folder / "postmaster.pid").read_text().split()[0])


async def _rows(database_url: str) -> dict[str, int]:
    connection = await asyncpg.connect(database_url)
    try:
        query = "SELECT state, count(*) FROM celery_task_results_ext GROUP BY state"
        return dict(await connection.fetch(query))
    finally:
        await connection.close()
