"""The whole system, started once for all tests of a session that need it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system import System


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the whole system are marked `alone`: it takes all of the machine."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder) and "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.alone)


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
