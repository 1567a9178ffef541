"""What a client finds that waits for /system/info while a first start is at work."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import eventually
from tests.support.system import READY_SECONDS, System

pytestmark = pytest.mark.alone


@pytest.fixture
def first_start() -> Iterator[System]:
    """A system that was never started."""
    # Short: a Unix socket is below it.
    with tempfile.TemporaryDirectory(prefix="celeriac-", dir="/tmp") as folder:
        yield System(Path(folder) / "state")


def answer(system: System, path: str, token: str = "") -> tuple[int, Any]:
    """Status and message of a GET; status 0 while there is nobody to ask."""
    try:
        context = ssl.create_default_context(cafile=system.state / "ca.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", system.port, context=context, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"authorization": f"Bearer {token}"} if token else {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
    except OSError:
        return 0, None


def test_who_waits_for_the_info_finds_all_that_a_first_start_gives(first_start: System) -> None:
    def found() -> dict[str, int]:
        """What is there as soon as the info answers."""
        eventually(lambda: answer(first_start, "/celery-admin/system/info")[0] == 200, READY_SECONDS)
        token = first_start.token("viewer")
        kinds = ("schedules", "messages")
        return {kind: len(answer(first_start, f"/v1/{kind}", token)[1][kind]) for kind in kinds}

    with ThreadPoolExecutor(1) as pool:
        try:
            waiting = pool.submit(found)
            first_start.up()
            counts = waiting.result()
        finally:
            first_start.interrupt()
    assert counts["schedules"] == 5
    assert counts["messages"] > 0
