"""A broker and a monitor of each module's own; test_intake has neither, and shares the session's Valkey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.celery_workers import celery_app
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, temporary_valkey


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    """What is set besides; a module that needs something overrides this."""
    return {}


@pytest.fixture(scope="module")
def monitor(
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
    broker: Valkey,
    monitor_settings: Mapping[str, str],
) -> Iterator[Monitor]:
    with running_monitor(certificates, tokens, database_url, broker, **monitor_settings) as monitor:
        yield monitor


@pytest.fixture(scope="module")
def app(broker: Valkey) -> Iterator[Celery]:
    app = celery_app(broker.host, broker.port)
    yield app
    app.close()
