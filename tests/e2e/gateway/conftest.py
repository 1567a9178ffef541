"""Scheduler and audit as processes, with a gateway before them; the embedder and the monitor are down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.standalone.certificates import ensure_config_keys
from deploy.standalone.tokens import LocalIssuer
from tests.support.audits import running_audit
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey, create_migrated_database


@dataclass(frozen=True)
class Services:
    """What runs behind the gateway."""

    scheduler: ServiceProcess
    audit: ServiceProcess

    @property
    def ports(self) -> dict[str, int]:
        services = {"scheduler": self.scheduler, "audit": self.audit}
        return {name: int(service.address.rpartition(":")[2]) for name, service in services.items()}


@pytest.fixture(scope="package")
def services(
    certificates: Path, tokens: LocalIssuer, audit_key: Path, postgres_url: str, valkey: Valkey
) -> Iterator[Services]:
    url = asyncio.run(create_migrated_database(postgres_url))
    with running_audit(certificates, url, audit_key) as audit:
        more = {
            "CELERIAC_AUDIT_ADDRESS": audit.address,
            "CELERIAC_CONFIG_KEYS": str(ensure_config_keys(certificates)),
        }
        scheduling = environment_of("scheduler", certificates, url, valkey, **more)
        with running_service("scheduler", certificates, scheduling) as scheduler:
            yield Services(scheduler, audit)


@pytest.fixture(scope="package")
def gateway(certificates: Path, services: Services) -> Iterator[Gateway]:
    with running_gateway(certificates, services.ports, health_from="scheduler") as running:
        yield running


@pytest.fixture
def admin(tokens: LocalIssuer) -> str:
    """A token of mei, an admin."""
    return tokens.mint("admin", subject="mei")
