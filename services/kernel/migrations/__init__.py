"""Brings a service's own tables to the newest version, by its own Alembic history.

All services share one database and its schema `public`; each keeps its history in a version table of its
own, `alembic_version_<service>`, so that one can be upgraded without the others. The tables that several
services use are the kernel's: their history, in `versions` beside this file, is brought up first by whichever
service migrates.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from services import SERVICES
from services.kernel.database import CONNECT_SECONDS, driver_url, open_connection
from services.kernel.grants import grant, role_of
from services.kernel.schema import KERNEL


def _config(service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files(f"services.{service}") / "migrations"))
    return config


async def migrate(database_url: str, service: str, revision: str = "head") -> None:
    """Applies the missing migrations: first the kernel's, then the service's, each in one transaction.

    Of two processes that migrate the same history, the second waits. `service` may be "kernel". Its own
    history stops at `revision`, which tests of a single migration give.
    """
    if service != KERNEL:
        await _migrate_one(database_url, KERNEL, "head")
    await _migrate_one(database_url, service, revision)


async def _migrate_one(database_url: str, service: str, revision: str) -> None:
    config = _config(service)
    script = ScriptDirectory.from_config(config)
    # The driver itself reads the URL, with its options of TLS (sslmode, sslrootcert, sslcert, sslkey).
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=functools.partial(open_connection, driver_url(database_url), timeout=CONNECT_SECONDS),
        poolclass=pool.NullPool,
        hide_parameters=True,
    )
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(
                f"SELECT pg_advisory_xact_lock(hashtext('celeriac-migrate-{service}'))"
            )
            await connection.run_sync(_upgrade, config, script, service, revision)
    finally:
        await engine.dispose()


def _upgrade(
    connection: Connection, config: Config, script: ScriptDirectory, service: str, revision: str
) -> None:
    def missing(present: Any, _context: MigrationContext) -> object:
        return script._upgrade_revs(revision, present)  # as alembic.command.upgrade does

    with EnvironmentContext(config, script, fn=missing) as environment:
        environment.configure(connection=connection, version_table=f"alembic_version_{service}")
        environment.run_migrations()
    # So that services can tell at their start whether these are the tables that they need.
    readers = ", ".join(map(role_of, SERVICES if service == KERNEL else [service]))
    connection.exec_driver_sql(f"GRANT SELECT ON alembic_version_{service} TO {readers}")


def create_outbox(service: str) -> None:
    """Creates the table of the service's audit outbox (services.kernel.outbox), in its first migration."""
    op.execute(
        f"""
        CREATE TABLE audit_outbox_{service} (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            entry bytea NOT NULL
        )
        """
    )
    grant(service, f"audit_outbox_{service}", "SELECT, INSERT, DELETE")


def run_script(script: str) -> None:
    """Runs a script of several SQL statements within the migration's transaction.

    `op.execute` can't: asyncpg prepares what it gets, and a prepared statement is a single one.
    """
    pooled: Any = op.get_bind().connection
    pooled.dbapi_connection.run_async(lambda driver: driver.execute(script))
