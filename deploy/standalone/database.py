"""python -m deploy.standalone.database: the database, its tables, and a role for each service.

A process of its own, run to its end at each start: what it imports is then not kept in the supervisor.
"""

from __future__ import annotations

import asyncio

import asyncpg

from deploy.standalone.ports import SERVICES
from deploy.standalone.postgres import DATABASE, SUPERUSER, url
from deploy.standalone.settings import StandaloneSettings, load_settings
from services.kernel.grants import role_of
from services.kernel.migrations import migrate


async def prepare(settings: StandaloneSettings) -> None:
    """Makes what is missing; each service's tables are brought to their newest version."""
    await _create_database(url(settings, SUPERUSER, "postgres"))
    database = url(settings, SUPERUSER)
    for service in SERVICES:
        await migrate(database, service)
    connection = await asyncpg.connect(database)
    try:
        for service in SERVICES:
            await connection.execute(f"ALTER ROLE {role_of(service)} LOGIN")
    finally:
        await connection.close()


async def _create_database(server: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(prepare(load_settings()))
