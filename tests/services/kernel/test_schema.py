"""The tables are of another version, or are not there: a service waits a while, then says so and ends."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from services import STORING
from services.kernel import migrations, schema
from services.kernel.database import Database
from services.kernel.schema import KERNEL, needed_revision, wait_for_tables
from tests.support.ports import free_port
from tests.support.processes import ROOT, as_its_role, environment_of
from tests.support.sql import fetch


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[Database]:
    database = Database(empty_database_url)
    yield database
    await database.close()


@pytest.mark.parametrize("service", (KERNEL, *STORING))
def test_the_needed_revision_is_the_head_of_the_migrations(service: str) -> None:
    script = ScriptDirectory.from_config(migrations._config(service))
    assert needed_revision(service) == script.get_current_head()


@pytest.mark.parametrize("service", STORING)
async def test_a_service_goes_on_at_once_on_its_tables_in_its_own_role(
    service: str, database_url: str, certificates: Path
) -> None:
    environment = await asyncio.to_thread(
        as_its_role, service, environment_of(service, certificates, database_url)
    )
    database = Database(environment["DATABASE_URL"])
    await wait_for_tables(database, service, 0.0)
    await database.close()


async def test_without_tables_it_ends_with_what_is_needed_and_the_command_that_helps(empty: Database) -> None:
    with pytest.raises(SystemExit) as ended:
        await wait_for_tables(empty, "scheduler", 0.0)
    needed = needed_revision("scheduler")
    assert f"has no tables of the service scheduler; revision {needed} is needed" in str(ended.value)
    assert "python -m services.scheduler migrate" in str(ended.value)


@pytest.mark.parametrize("found", ["0001", "abc", ""])
async def test_on_older_tables_it_ends_with_both_revisions(
    found: str, database: Database, database_url: str
) -> None:
    needed = needed_revision("scheduler")
    await fetch(database_url, "UPDATE alembic_version_scheduler SET version_num = $1", found)
    try:
        with pytest.raises(SystemExit) as ended:
            await wait_for_tables(database, "scheduler", 0.0)
    finally:
        await fetch(database_url, "UPDATE alembic_version_scheduler SET version_num = $1", needed)
    assert re.search(f"are of revision {found}; revision {needed} is needed", str(ended.value))


async def test_on_older_tables_of_the_kernel_it_ends_too(database: Database, database_url: str) -> None:
    needed = needed_revision(KERNEL)
    await fetch(database_url, "UPDATE alembic_version_kernel SET version_num = '0000'")
    try:
        with pytest.raises(SystemExit) as ended:
            await wait_for_tables(database, "monitor", 0.0)
    finally:
        await fetch(database_url, "UPDATE alembic_version_kernel SET version_num = $1", needed)
    assert f"the tables of the kernel are of revision 0000; revision {needed} is needed" in str(ended.value)
    assert "python -m services.monitor migrate" in str(ended.value)


async def test_on_newer_tables_it_goes_on_since_migrations_only_add(
    database: Database, database_url: str
) -> None:
    await fetch(database_url, "UPDATE alembic_version_scheduler SET version_num = '9999'")
    await wait_for_tables(database, "scheduler", 0.0)
    needed = needed_revision("scheduler")
    await fetch(database_url, "UPDATE alembic_version_scheduler SET version_num = $1", needed)


async def test_it_waits_for_a_migration_that_comes_meanwhile(
    empty: Database, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOOK_SECONDS", 0.05)
    waiting = asyncio.create_task(wait_for_tables(empty, "audit", 60.0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await migrations.migrate(empty_database_url, "audit")
    await waiting


async def test_a_database_that_is_not_there_is_named_and_no_migration_is_advised() -> None:
    port = free_port()
    nowhere = Database(f"postgresql://mei:hush@127.0.0.1:{port}/celeriac")
    with pytest.raises(SystemExit) as ended:
        await wait_for_tables(nowhere, "scheduler", 0.0)
    told = str(ended.value)
    assert f"the database 127.0.0.1:{port}/celeriac can't be used: " in told
    assert "does DATABASE_URL name it" in told and "migrate" not in told and "hush" not in told


def test_a_migration_says_what_came_of_it(certificates: Path, empty_database_url: str) -> None:
    def migrated(url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.audit", "migrate"],
            env=environment_of("audit", certificates, url, CELERIAC_AUDIT_KEY="audit.pem"),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

    port = free_port()
    refused = migrated(f"postgresql://mei:hush@127.0.0.1:{port}/celeriac")
    assert refused.returncode == 1
    last = json.loads(refused.stderr.splitlines()[-1])
    assert last["event"] == "process.refused"
    assert last["message"].startswith(f"the database 127.0.0.1:{port}/celeriac can't be used: ")
    assert "hush" not in refused.stderr
    done = migrated(empty_database_url)
    assert done.returncode == 0, done.stderr
    assert f'"schema_revision": "{needed_revision("audit")}"' in done.stderr.splitlines()[-1]
