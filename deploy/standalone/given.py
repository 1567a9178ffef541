"""The table `standalone.given`: what earlier starts have put into this database.

It is in the database itself, so that it is lost or restored together with the data that it describes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


class Given:
    """The names of what was given, each once; only PostgreSQL's superuser can read them."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    @staticmethod
    @asynccontextmanager
    async def opened(superuser_url: str) -> AsyncIterator[Given]:
        connection = await asyncpg.connect(superuser_url)
        try:
            yield Given(connection)
        finally:
            await connection.close()

    async def ensure_table(self) -> None:
        await self._connection.execute(
            """
            CREATE SCHEMA IF NOT EXISTS standalone;
            CREATE TABLE IF NOT EXISTS standalone.given (
                item text PRIMARY KEY,
                given_at timestamptz NOT NULL DEFAULT now()
            )
            """
        )

    async def all(self) -> set[str]:
        return {row["item"] for row in await self._connection.fetch("SELECT item FROM standalone.given")}

    async def forget(self, beginning: str) -> None:
        """Removes the items that begin so."""
        await self._connection.execute("DELETE FROM standalone.given WHERE starts_with(item, $1)", beginning)

    async def remember(self, *items: str) -> None:
        await self._connection.execute(
            "INSERT INTO standalone.given (item) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", items
        )
