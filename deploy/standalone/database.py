"""python -m deploy.standalone.database: the database, its tables, and a role for each service.

It is a process of its own, run only when the migrations differ from those of the last start: so its imports
take no memory in the supervisor, and no time when there is nothing to do.
"""

from __future__ import annotations

import asyncio
import hashlib

import asyncpg

from deploy.standalone import logins, servers
from deploy.standalone.child import ROOT
from deploy.standalone.given import Given
from deploy.standalone.postgres import DATABASE, SUPERUSER, url
from deploy.standalone.settings import StandaloneSettings, load_settings
from services import STORING


async def is_prepared(settings: StandaloneSettings) -> bool:
    """Whether exactly these migrations have been applied to the database."""
    try:
        async with Given.opened(servers.owner_url(settings)) as given:
            if _tables() not in await given.all():
                return False
    except (asyncpg.InvalidCatalogNameError, asyncpg.UndefinedTableError):
        return False
    return settings.database_url is None or await logins.missing(settings) == []


async def prepare(settings: StandaloneSettings) -> None:
    """Creates what is missing, and brings each service's tables to their newest version."""
    from services.kernel.grants import role_of
    from services.kernel.migrations import migrate

    own = settings.database_url is None
    if own:
        await _execute(url(settings, SUPERUSER, "postgres"), f"CREATE DATABASE {DATABASE}")
    database = servers.owner_url(settings)
    for service in STORING:
        await migrate(database, service)
        if own:
            await _execute(database, f"ALTER ROLE {role_of(service)} LOGIN")
    if not own:
        await logins.give(settings)
    async with Given.opened(database) as given:
        await given.ensure_table()
        await given.remember(_tables())


def _tables() -> str:
    """Returns a name (a hash) for the content of the migrations, and of the kernel modules that they use."""
    sources = [
        ROOT / "services/kernel" / name for name in ("grants.py", "migrations/__init__.py", "outbox.py")
    ]
    for service in ("kernel", *STORING):
        sources += sorted((ROOT / "services" / service / "migrations/versions").glob("*.py"))
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.relative_to(ROOT)}\n".encode() + source.read_bytes())
    return f"tables {digest.hexdigest()[:16]}"


async def _execute(database: str, statement: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(statement)
    except asyncpg.DuplicateDatabaseError:
        pass
    finally:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(prepare(load_settings()))
