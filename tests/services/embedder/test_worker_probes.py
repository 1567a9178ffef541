"""/livez and /readyz of a real Celery worker: at work, without its broker, and stuck."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import psutil
import pytest

from deploy.standalone.tokens import LocalIssuer
from services.embedder.bulk import worker_probes
from services.embedder.bulk.worker_probes import Consuming, WorkerProbes
from tests.support import forked
from tests.support.calls import eventually
from tests.support.embedder_workers import MODULE, Worker
from tests.support.ports import free_port
from tests.support.processes import environment_of, migrate
from tests.support.servers import Valkey, temporary_valkey

READY = {"serving: ok", "connection: ok", "pool: ok", "database: ok", "broker: ok", "loops: ok"}


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    """A broker that the test may stop."""
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def worker(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey, port: int
) -> Iterator[Worker]:
    environment = environment_of(
        "embedder", certificates, database_url, broker, CELERIAC_METRICS_PORT=str(port)
    )
    migrate("embedder", environment)
    worker = Worker(environment)
    worker.start()
    yield worker
    worker.kill()


def asked(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def is_ready(port: int) -> bool:
    try:
        return asked(port, "/readyz")[0] == HTTPStatus.OK
    except OSError:
        # The pool has not started yet.
        return False


def test_a_worker_that_takes_messages_is_alive_and_ready(worker: Worker, port: int) -> None:
    eventually(lambda: is_ready(port))
    assert set(asked(port, "/readyz")[1].splitlines()) == READY
    assert asked(port, "/livez") == (HTTPStatus.OK, "consumer: ok\n")
    status, metrics = asked(port, "/metrics")
    assert status == HTTPStatus.OK and "process_open_fds" in metrics
    assert asked(port, "/health")[0] == HTTPStatus.NOT_FOUND


def test_a_worker_whose_port_is_taken_does_not_start(
    worker: Worker,
    port: int,
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
    broker: Valkey,
    tmp_path: Path,
) -> None:
    """Else the process that has the port would answer for it."""
    environment = environment_of(
        "embedder", certificates, database_url, broker, CELERIAC_METRICS_PORT=str(port)
    )
    with (tmp_path / "log").open("w+b") as log:
        second = forked.start(MODULE, "work", env=environment, output=log, new_session=True)
        assert second.wait(60) == 1
    assert "(CELERIAC_METRICS_PORT): is the port taken?" in (tmp_path / "log").read_text().splitlines()[-1]


def test_a_worker_without_its_broker_is_alive_and_not_ready_until_it_is_back(
    worker: Worker, port: int, broker: Valkey
) -> None:
    eventually(lambda: is_ready(port))
    broker.stop()
    eventually(lambda: not is_ready(port))
    eventually(lambda: "the worker has no connection to the broker" in asked(port, "/readyz")[1])
    assert "broker: ok" not in asked(port, "/readyz")[1]
    assert asked(port, "/livez")[0] == HTTPStatus.OK
    broker.start()
    eventually(lambda: is_ready(port), 60)


async def test_a_consumer_whose_loop_does_not_turn_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_probes, "STUCK_SECONDS", 0.0)
    consuming = Consuming()
    probes = WorkerProbes({}, consuming)
    assert probes.live()[0], "it has no connection: a restart would not help"
    consuming.begins(consumer=object())
    well, words = probes.live()
    assert not well and "has not turned" in words
    consuming.ends()
    assert probes.live()[0]


def test_the_pool_does_not_keep_the_port(worker: Worker, port: int) -> None:
    eventually(lambda: is_ready(port))
    assert worker.process is not None
    holders = [
        process.pid
        for process in [psutil.Process(worker.process.pid), *worker.children()]
        if any(each.laddr.port == port for each in process.net_connections() if each.status == "LISTEN")
    ]
    assert holders == [worker.process.pid]
