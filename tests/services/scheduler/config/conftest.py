"""A scheduler with encryption keys, and callers of its ConfigService, of each module's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celeriac.scheduler.v1 import config_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.kernel.sealing import add_key
from tests.support.calls import Caller
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "config-keys.json"
    add_key(path)
    return path


@pytest.fixture(scope="module")
def environment(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, key_file: Path
) -> dict[str, str]:
    return environment_of("scheduler", certificates, database_url, valkey, CELERIAC_CONFIG_KEYS=str(key_file))


@pytest.fixture(scope="module")
def service(certificates: Path, environment: dict[str, str]) -> Iterator[ServiceProcess]:
    with running_service("scheduler", certificates, environment) as process:
        yield process


@pytest.fixture
def config(service: ServiceProcess, tokens: LocalIssuer) -> Iterator[Any]:
    with service.channel() as channel:
        yield Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("admin", subject="mei"))


@pytest.fixture
def worker(service: ServiceProcess) -> Iterator[Any]:
    """A caller that shows the certificate of the workers of an operator's own tasks."""
    with service.channel("tasks") as channel:
        yield config_pb2_grpc.ConfigServiceStub(channel)
