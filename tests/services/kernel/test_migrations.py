"""Migrations of several services at the same moment: each brings the kernel's tables up first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from services import STORING
from services.kernel import migrations
from tests.support.processes import environment_of, migrate
from tests.support.servers import Valkey, create_database
from tests.support.sql import fetch

VERSIONS = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'alembic_version_%'"


@pytest.mark.usefixtures("tokens")
async def test_services_that_migrate_at_the_same_time_bring_the_kernels_tables_up_once(
    empty_database_url: str, certificates: Path, valkey: Valkey
) -> None:
    """Each by its own command: Alembic's state is that of a process."""
    environments = {
        service: environment_of(service, certificates, empty_database_url, valkey)
        for service in ("embedder", "monitor")
    }
    await asyncio.gather(*(asyncio.to_thread(migrate, *each) for each in environments.items()))
    found = {row["tablename"] for row in await fetch(empty_database_url, VERSIONS)}
    assert found == {f"alembic_version_{history}" for history in ("kernel", "embedder", "monitor")}
    assert len(await fetch(empty_database_url, "SELECT FROM alembic_version_kernel")) == 1


@pytest.mark.parametrize("service", STORING)
async def test_any_service_alone_brings_the_kernels_tables_up(service: str, postgres_url: str) -> None:
    url = await create_database(postgres_url)
    await migrations.migrate(url, service)
    assert await fetch(url, "SELECT count(*) FROM celery_operations")
