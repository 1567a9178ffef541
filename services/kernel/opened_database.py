"""The database of a service, opened once it has the tables that the service needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.database import Database
from services.kernel.pooler import NoSessions, refuse_pooled_transactions
from services.kernel.schema import wait_for_tables
from services.kernel.settings import KernelSettings


@asynccontextmanager
async def opened_database(settings: KernelSettings, service: str) -> AsyncIterator[Database]:
    """Yields the service's connections to the database, once that has its tables; closes them at the end."""
    database = Database(
        settings.database_url.get_secret_value(), settings.database_pool_size, f"celeriac-{service}"
    )
    try:
        await wait_for_tables(database, service)
        try:
            await refuse_pooled_transactions(database.url)
        except NoSessions as error:
            raise SystemExit(str(error)) from None
        yield database
    finally:
        await database.close()
