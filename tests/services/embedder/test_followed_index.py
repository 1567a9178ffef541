"""A search index follows the table of vectors: by what is told, and by what it reads when it looks."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import asyncpg
import numpy as np
import pytest

from services.embedder.messages.messages import MessageFilter
from services.embedder.pace import Pace
from services.embedder.search.following import Following
from services.embedder.search.index import VectorIndex
from services.embedder.search.saved import IndexFolder
from services.embedder.search.store_index import CHANNEL
from services.kernel.database import Database
from tests.support.watch_clients import until

MODEL = "a@1"
VECTOR = np.eye(1, 1024, dtype="<f4")[0]
NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
WRITE = """
    WITH message AS (
        INSERT INTO chat_messages (id, conversation, role, text, content_hash, created_at)
        VALUES ($1, 'c', 'user', 'text', '', now()) ON CONFLICT (id) DO UPDATE SET text = excluded.text
        RETURNING id
    )
    INSERT INTO chat_message_embeddings_1024 (message_id, model, vector) SELECT id, $2, $3 FROM message
    ON CONFLICT (message_id, model) DO UPDATE
        SET vector = excluded.vector, write = nextval('chat_message_embeddings_writes')
    RETURNING write
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM chat_messages")
    yield database
    await database.close()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def written(connection: asyncpg.Connection, message: str) -> int:
    write: int = await connection.fetchval(WRITE, message, MODEL, VECTOR.tobytes())
    return write


def held(index: VectorIndex) -> list[int]:
    return sorted(index.writes()[:, 0].tolist())


async def test_a_write_that_ends_after_a_later_one_is_not_missed(
    database: Database, other: asyncpg.Connection
) -> None:
    index = VectorIndex(IndexFolder(None, MODEL))
    following = Following(database, MODEL, index)
    await following.compare()
    slow = other.transaction()
    await slow.start()
    first = await written(other, "slow")
    async with database.connection() as connection:
        second = await written(connection, "fast")
    await following.catch_up()
    assert held(index) == [second]
    await slow.commit()
    await following.catch_up()
    assert held(index) == [first, second]
    third = await written(other, "fast")
    await following.catch_up()
    assert third in held(index), "the vector that is overwritten stays until all numbers are compared"
    await following.compare()
    assert held(index) == [first, third]


async def test_a_number_that_a_restored_database_draws_again_is_another_write(
    database: Database, other: asyncpg.Connection
) -> None:
    index = VectorIndex(IndexFolder(None, MODEL))
    following = Following(database, MODEL, index)
    write = await written(other, "before")
    await following.compare()
    await other.execute("DELETE FROM chat_messages")
    await other.execute("SELECT setval('chat_message_embeddings_writes', $1, false)", write)
    elsewhere = np.eye(2, 1024, dtype="<f4")[1]
    assert await other.fetchval(WRITE, "after", MODEL, elsewhere.tobytes()) == write
    await following.compare()
    assert index.nearest(elsewhere, 1, MessageFilter()) == [(write, 1.0)]


async def test_what_is_written_and_deleted_is_told_and_followed_at_once(
    database: Database, other: asyncpg.Connection
) -> None:
    index = VectorIndex(IndexFolder(None, MODEL))
    # No other interval is as short as the test: without the notices, nothing is followed.
    following = Following(database, MODEL, index, Pace(gather=0.01, after_deletion=0.01))
    running = asyncio.create_task(following.run())
    try:
        async with asyncio.timeout(30):
            write = await written(other, "told")
            await until(lambda: held(index) == [write])
            await other.execute("DELETE FROM chat_messages")
            await until(lambda: not held(index))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_statement_that_changes_no_vector_tells_nothing(
    database: Database, other: asyncpg.Connection
) -> None:
    told: list[str] = []
    await other.add_listener(CHANNEL, lambda *notice: told.append(str(notice[3])))
    async with database.connection() as connection:
        await connection.execute("DELETE FROM chat_message_embeddings_1024 WHERE model = 'none'")
        await connection.execute(
            "UPDATE chat_message_embeddings_1024 SET vector = vector WHERE model = 'none'"
        )
        await written(connection, "one")
        await connection.execute("DELETE FROM chat_messages")
    async with asyncio.timeout(30):
        while len(told) < 2:
            await other.execute("SELECT 1")
            await asyncio.sleep(0.01)
    assert told == ["INSERT", "DELETE"]
