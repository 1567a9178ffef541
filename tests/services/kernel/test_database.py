"""One transaction a use case, and notices that survive a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.kernel.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE IF NOT EXISTS notes (id serial, words text)"))
        await session.execute(text("TRUNCATE notes"))
    yield database
    await database.close()


async def written(database: Database) -> list[str]:
    async with database.reading() as session:
        return list((await session.scalars(text("SELECT words FROM notes ORDER BY id"))).all())


async def test_a_transaction_is_committed_whole(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO notes (words) VALUES ('一'), ('two')"))
    assert await written(database) == ["一", "two"]


async def test_what_is_raised_in_a_transaction_undoes_it(database: Database) -> None:
    with pytest.raises(ValueError, match="halfway"):
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO notes (words) VALUES ('lost')"))
            raise ValueError("halfway")
    assert await written(database) == []


async def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.reading() as session:
            await session.execute(text("INSERT INTO notes (words) VALUES ('no')"))


async def test_the_drivers_own_connection_copies_rows_in(database: Database) -> None:
    async with database.driver_connection() as connection:
        rows = [(f"note {number}",) for number in range(1000)]
        await connection.copy_records_to_table("notes", records=rows, columns=["words"])
    assert len(await written(database)) == 1000


async def test_a_listener_hears_notices_and_is_told_when_it_may_have_missed_some(
    database: Database,
) -> None:
    async with asyncio.timeout(20), database.listening("notes_changed") as notices:
        assert await anext(notices) == ""
        async with database.transaction() as session:
            await session.execute(text("SELECT pg_notify('notes_changed', '七')"))
        assert await anext(notices) == "七"
        async with database.transaction() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query ILIKE 'LISTEN%' AND pid <> pg_backend_pid()"
                )
            )
        assert await anext(notices) == ""


async def test_a_connection_that_died_is_replaced_before_it_is_used(database: Database) -> None:
    await written(database)
    other = Database(str(database.engine.url.render_as_string(hide_password=False)))
    async with other.transaction() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await other.close()
    assert await written(database) == []
