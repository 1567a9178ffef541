"""A system that answers as a test says, and the command that is pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.contract_server import ContractServer, running_contract_server


@pytest.fixture(scope="package")
def running(certificates: Path) -> Iterator[ContractServer]:
    with running_contract_server(certificates) as server:
        yield server


@pytest.fixture
def server(running: ContractServer) -> ContractServer:
    running.answers.clear()
    running.arrived.clear()
    return running


@pytest.fixture
def celeriac(server: ContractServer, certificates: Path, tmp_path: Path) -> Command:
    known = {
        "CELERIAC_TARGET": f"127.0.0.1:{server.port}",
        "CELERIAC_CA": str(certificates / "ca.pem"),
        "CELERIAC_TOKEN": "x",
    }
    return Command(tmp_path, known)
