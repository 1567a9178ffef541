"""A running audit service."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import ServiceProcess, environment_of, running_service


@contextlib.contextmanager
def running_audit(state: Path, database_url: str, audit_key: Path) -> Iterator[ServiceProcess]:
    environment = environment_of("audit", state, database_url, CELERIAC_AUDIT_KEY=str(audit_key))
    with running_service("audit", state, environment) as process:
        yield process
