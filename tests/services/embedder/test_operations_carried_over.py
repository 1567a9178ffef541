"""Migration 0004: operations of the version before go on as the kernel's, and so do its workers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.embedder.bulk.rebuild import ChunkKey, Rebuild
from services.embedder.bulk.store_chunks import ChunkStore
from services.embedder.bulk.store_vectors import VectorStore
from services.kernel.database import Database
from services.kernel.errors import NotFound
from services.kernel.migrations import migrate
from services.kernel.operations import OperationState
from services.kernel.sessions import Sessions, opened_sessions
from services.kernel.stored_operations import OperationStore
from tests.support.operations import url_of
from tests.support.servers import create_database
from tests.support.sql import fetch

MODEL = "bigrams@1"
RUNNING, DONE, CANCELLED, EMPTY = (uuid.uuid4() for _ in range(4))
USUAL = '{"force_rebuild": false, "user_role": "user", "min_length": 5}'
ALL = '{"force_rebuild": true, "user_role": "user", "min_length": 7}'
ANSWERS = '{"force_rebuild": false, "user_role": "assistant", "min_length": 0}'
BEFORE = f"""
    INSERT INTO embedder_operations (id, kind, arguments, model, state, created_at, ended_at) VALUES
        ('{RUNNING}', 'rebuild_chat_vectors', '{ALL}', '{MODEL}', 'running', now() - interval '1 hour', NULL),
        ('{DONE}', 'rebuild_chat_vectors', '{USUAL}', '{MODEL}', 'done', now() - interval '2 hours',
         now() - interval '1 hour'),
        ('{CANCELLED}', 'rebuild_chat_vectors', '{ANSWERS}', '{MODEL}', 'cancelled',
         now() - interval '3 hours', now() - interval '2 hours'),
        ('{EMPTY}', 'rebuild_chat_vectors', '{USUAL}', 'other@2', 'done', now() - interval '4 hours',
         now() - interval '4 hours');
    INSERT INTO embedder_operation_chunks (operation_id, number, message_ids, state, failed, sent_at) VALUES
        ('{RUNNING}', 0, '{{a,b,c}}', 'done', 1, now()), ('{RUNNING}', 1, '{{d,e}}', 'waiting', 0, now()),
        ('{RUNNING}', 2, '{{f}}', 'waiting', 0, NULL),
        ('{DONE}', 0, '{{a,b}}', 'done', 0, now()),
        ('{CANCELLED}', 0, '{{x}}', 'done', 0, now()), ('{CANCELLED}', 1, '{{y,z}}', 'waiting', 0, NULL);
    INSERT INTO embedder_requests (scope, request_id, digest, operation_id)
        VALUES ('EmbedMessages', 'once', '\\x00', '{DONE}');
"""
# What a worker of the version before runs for each chunk.
OLD_TAKE = """
    UPDATE embedder_operation_chunks AS chunk SET state = 'taken', deaths = deaths + 1
    FROM embedder_operations AS operation
    WHERE chunk.operation_id = $1::uuid AND chunk.number = $2 AND chunk.state <> 'done'
        AND operation.id = chunk.operation_id AND operation.state = 'running' AND operation.model = $3
    RETURNING chunk.message_ids
"""
OLD_FINISH = """
    UPDATE embedder_operation_chunks SET state = 'done', failed = $3
    WHERE operation_id = $1::uuid AND number = $2
"""
# How an embedder of the version before begins a rebuild.
OLD_BEGIN = """
    INSERT INTO embedder_operations (kind, arguments, model)
    VALUES ('rebuild_chat_vectors', $1::jsonb, $2) ON CONFLICT DO NOTHING RETURNING id
"""
OLD_RUNNING = """
    SELECT id FROM embedder_operations WHERE kind = 'rebuild_chat_vectors' AND state = 'running'
        AND arguments = $1::jsonb AND model = $2
"""
OLD_PLAN = "INSERT INTO embedder_operation_chunks (operation_id, number, message_ids) VALUES ($1, $2, $3)"
OLD_CANCEL = """
    UPDATE embedder_operations SET state = 'cancelled', ended_at = clock_timestamp()
    WHERE id = $1 AND state = 'running'
"""
OLD_LOCK = "SELECT FROM embedder_operations WHERE id = CAST($1 AS uuid) FOR UPDATE"
OLD_END = """
    UPDATE embedder_operations SET state = 'done', ended_at = clock_timestamp()
    WHERE id = $1::uuid AND state = 'running' AND NOT EXISTS (
        SELECT FROM embedder_operation_chunks WHERE operation_id = $1::uuid AND state <> 'done')
"""


@pytest.fixture
async def url(postgres_url: str) -> str:
    """A database that was migrated with operations of the version before in it."""
    url = await create_database(postgres_url)
    await migrate(url, "embedder", "0003")
    connection = await asyncpg.connect(url)
    await connection.execute(BEFORE)
    await connection.close()
    await migrate(url, "embedder")
    return url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[Sessions]:
    async with opened_sessions(database) as sessions:
        yield sessions


async def operation(sessions: Sessions, operation_id: uuid.UUID) -> Any:
    async with sessions.reading() as session:
        return await OperationStore(session).get(str(operation_id))


async def test_operations_keep_their_state_their_progress_and_their_times(sessions: Sessions) -> None:
    running = await operation(sessions, RUNNING)
    # No process of the embedder is there: the migration itself counts as the last sign of life.
    assert (running.state, running.owner) == (OperationState.RUNNING, "embedder")
    assert (running.total, running.done, running.failed) == (6, 3, 1)
    assert running.metadata == {
        "force_rebuild": True,
        "role": "user",
        "min_length": 7,
        "model": f"models/{MODEL}",
    }
    done = await operation(sessions, DONE)
    assert (done.state, done.total, done.done) == (OperationState.DONE, 2, 2)
    assert 0.9 < (done.ended_at - done.created_at).total_seconds() / 3600 < 1.1
    cancelled = await operation(sessions, CANCELLED)
    assert (cancelled.state, cancelled.total, cancelled.done) == (OperationState.CANCELLED, 3, 1)
    assert (await operation(sessions, EMPTY)).total == 0


async def test_a_running_operation_is_finished_by_workers_of_this_version(
    sessions: Sessions, database: Database
) -> None:
    for number in (1, 2):
        async with database.connection() as connection:
            store = VectorStore(connection, MODEL)
            async with store.taken(ChunkKey(str(RUNNING), number)) as taken:
                assert taken is not None
                await connection.execute(OLD_FINISH, str(RUNNING), number, 0)
    ended = await operation(sessions, RUNNING)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 6, 1)


async def test_workers_of_the_version_before_finish_their_chunks_and_the_operation(
    sessions: Sessions, url: str
) -> None:
    for number in (1, 2):
        assert await fetch(url, OLD_TAKE, str(RUNNING), number, MODEL)
        await fetch(url, OLD_FINISH, str(RUNNING), number, number - 1)
        await fetch(url, OLD_FINISH, str(RUNNING), number, number - 1)
        await fetch(url, OLD_LOCK, str(RUNNING))
        await fetch(url, OLD_END, str(RUNNING))
    ended = await operation(sessions, RUNNING)
    assert (ended.state, ended.done, ended.failed) == (OperationState.DONE, 6, 2)


async def test_an_embedder_of_the_version_before_begins_and_cancels_operations(
    sessions: Sessions, url: str
) -> None:
    """As its own role."""
    own = await asyncio.to_thread(url_of, "embedder", url)
    assert [row["id"] for row in await fetch(own, OLD_RUNNING, ALL, MODEL)] == [RUNNING]
    assert await fetch(own, OLD_BEGIN, ALL, MODEL) == [], "it runs already"
    [row] = await fetch(own, OLD_BEGIN, USUAL, MODEL)
    for number, messages in enumerate((["a", "b"], ["c"])):
        await fetch(own, OLD_PLAN, row["id"], number, messages)
    begun = await operation(sessions, row["id"])
    assert (begun.total, begun.done, begun.state) == (3, 0, OperationState.RUNNING)
    assert begun.metadata["role"] == "user" and begun.metadata["model"] == f"models/{MODEL}"
    async with sessions.transaction() as session:
        same = await ChunkStore(session).begin_rebuild(Rebuild(False, "user", 5), MODEL, 1000, "mei")
    assert same == str(row["id"])
    await fetch(own, OLD_CANCEL, row["id"])
    assert (await operation(sessions, row["id"])).state is OperationState.CANCELLED
    [row] = await fetch(own, OLD_BEGIN, USUAL, MODEL)
    await fetch(own, OLD_END, str(row["id"]))
    assert (await operation(sessions, row["id"])).state is OperationState.DONE, "there was nothing to do"


async def test_the_same_work_is_the_running_operation_from_before(sessions: Sessions) -> None:
    async with sessions.transaction() as session:
        store = ChunkStore(session)
        same = await store.begin_rebuild(Rebuild(True, "user", 7), MODEL, 1000, "mei")
        other = await store.begin_rebuild(Rebuild(False, "user", 7), MODEL, 1000, "mei")
    assert same == str(RUNNING)
    assert other not in {str(each) for each in (RUNNING, DONE, CANCELLED, EMPTY)}


async def test_chunks_and_requests_go_with_their_operation(sessions: Sessions, url: str) -> None:
    await fetch(url, "DELETE FROM celery_operations WHERE id = ANY ($1)", [DONE, CANCELLED])
    left = await fetch(url, "SELECT DISTINCT operation_id AS id FROM embedder_operation_chunks")
    assert [row["id"] for row in left] == [RUNNING]
    assert not await fetch(url, "SELECT FROM embedder_requests")
    with pytest.raises(NotFound):
        await operation(sessions, DONE)
