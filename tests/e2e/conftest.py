"""The whole system, started once for all tests of a session that need it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system import System


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """The system after its first start: the standard schedules and the sample chat are there.

    A test that stops it starts it again.
    """
    # Short: a Unix socket is below it.
    with tempfile.TemporaryDirectory(prefix="celeriac-", dir="/tmp") as folder:
        running = System(Path(folder) / "state")
        try:
            running.up()
            yield running
        finally:
            running.interrupt()
