"""The database's disk is full: the status of the system says so, and says when there is room again."""

from __future__ import annotations

import asyncio

import pytest

from services.kernel.database import Database
from services.monitor.system import checks
from services.monitor.system.components import Finding, Health
from tests.support.small_disk import small_tablespace
from tests.support.sql import fetch_sync


def test_a_full_disk_makes_the_database_unhealthy_until_there_is_room(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "DISK_LOOK_SECONDS", 0.0)
    name = database_url.rpartition("/")[2].partition("?")[0]

    async def look() -> Finding:
        database = Database(database_url)
        try:
            return await checks.DatabaseLook(database)()
        finally:
            await database.close()

    with small_tablespace(database_url, "temporary_disk") as disk:
        fetch_sync(database_url, f"ALTER DATABASE {name} SET temp_tablespaces = temporary_disk")
        disk.fill()
        full = asyncio.run(look())
        disk.make_room()
        fetch_sync(database_url, f"ALTER DATABASE {name} RESET temp_tablespaces")
        roomy = asyncio.run(look())
    assert full.health is Health.UNHEALTHY and "its disk is full" in full.detail
    assert roomy.health is Health.HEALTHY
