"""A door of its own for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.support.doors import DoorProcess, running_door


@pytest.fixture(scope="module")
def door(certificates: Path, tokens: LocalIssuer, database_url: str) -> Iterator[DoorProcess]:
    with running_door(certificates, database_url) as running:
        yield running
