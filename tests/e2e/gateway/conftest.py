"""Scheduler and audit as processes, with a gateway before them; and all four services, for tests of all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.standalone.certificates import ensure_config_keys
from deploy.standalone.tokens import LocalIssuer
from tests.support.audits import running_audit
from tests.support.embedder_workers import MODULE as BIGRAM_EMBEDDER
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey, create_migrated_database


@dataclass(frozen=True)
class Services:
    """What runs behind the gateway."""

    scheduler: ServiceProcess
    audit: ServiceProcess
    database_url: str

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
            yield Services(scheduler, audit, url)


@pytest.fixture(scope="package")
def all_services(
    certificates: Path, tokens: LocalIssuer, services: Services, valkey: Valkey
) -> Iterator[Mapping[str, ServiceProcess]]:
    """All four services; the embedder and the monitor beside those of the other tests."""
    url = services.database_url
    with contextlib.ExitStack() as running:
        started = {
            name: running.enter_context(
                running_service(
                    name,
                    certificates,
                    environment_of(
                        name, certificates, url, valkey, CELERIAC_AUDIT_ADDRESS=services.audit.address
                    ),
                    module,
                )
            )
            for name, module in (("monitor", None), ("embedder", BIGRAM_EMBEDDER))
        }
        yield {"scheduler": services.scheduler, "audit": services.audit, **started}


@pytest.fixture(scope="package")
def gateway(certificates: Path, services: Services) -> Iterator[Gateway]:
    with running_gateway(certificates, services.ports, health_from="scheduler") as running:
        yield running


@pytest.fixture
def admin(tokens: LocalIssuer) -> str:
    """A token of mei, an admin."""
    return tokens.mint("admin", subject="mei")
