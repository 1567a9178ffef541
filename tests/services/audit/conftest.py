"""A running audit service, and those who call it: one process for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celeriac.audit.v1 import audit_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.audits import running_audit
from tests.support.calls import Caller
from tests.support.processes import ServiceProcess


@pytest.fixture(scope="module")
def service(
    certificates: Path, tokens: LocalIssuer, audit_key: Path, database_url: str
) -> Iterator[ServiceProcess]:
    with running_audit(certificates, database_url, audit_key) as process:
        yield process


@pytest.fixture
def relay(service: ServiceProcess) -> Iterator[Any]:
    """A stub with a service's certificate."""
    with service.channel("scheduler") as channel:
        yield audit_pb2_grpc.AuditServiceStub(channel)


@pytest.fixture
def admin(service: ServiceProcess, tokens: LocalIssuer) -> Iterator[Any]:
    with service.channel() as channel:
        yield Caller(audit_pb2_grpc.AuditServiceStub(channel), tokens.mint("admin", subject="mei"))
