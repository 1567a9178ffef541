"""A scheduler of each module's own: alone, or beside a monitor and a worker for tests of real runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database
from tests.support.backfills import Hourly
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey, temporary_valkey


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The scheduler's tables, without schedules, runs, and what was seen of a broker."""
    database = Database(database_url)
    async with database.transaction() as connection:
        for table in ("schedules", "schedule_batches", "schedule_broker"):
            await connection.execute(f"DELETE FROM celery_{table}")
    yield database
    await database.close()


@pytest.fixture(scope="module")
def monitor(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> Iterator[Monitor]:
    with running_monitor(certificates, tokens, database_url, valkey) as monitor:
        yield monitor


@pytest.fixture(scope="module")
def worker(monitor: Monitor, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(valkey, tmp_path_factory.mktemp("worker"), queues="runs", concurrency=3) as worker:
        monitor.await_worker(worker.name)
        yield worker


@pytest.fixture(scope="module")
def scheduler(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, monitor: Monitor
) -> Iterator[Scheduler]:
    settings = {"CELERIAC_MONITOR_ADDRESS": monitor.process.address}
    with running_scheduler(certificates, tokens, database_url, valkey, **settings) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def lone_scheduler(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey
) -> Iterator[Scheduler]:
    """Without a monitor: for what is asked of the scheduler itself."""
    with running_scheduler(certificates, tokens, database_url, valkey) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def other(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, lone_scheduler: Scheduler
) -> Iterator[Scheduler]:
    """Another replica beside the lone one: it does all that each replica does."""
    with running_scheduler(certificates, tokens, database_url, valkey) as other:
        yield other


@pytest.fixture
def schedules(lone_scheduler: Scheduler) -> Any:
    return lone_scheduler.schedules


@pytest.fixture
def manifests(lone_scheduler: Scheduler) -> Any:
    return lone_scheduler.manifests


@pytest.fixture
def hourly(lone_scheduler: Scheduler, valkey: Valkey) -> Hourly:
    return Hourly(lone_scheduler, valkey)
