"""What a process does for the operations of its service: begins, cancels and forgets them, and lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.kernel.database import Connection, Database
from services.kernel.endings import end
from services.kernel.operations import Owner, Stop
from services.kernel.sessions import opened_sessions
from services.kernel.stored_operations import NewOperation, OperationStore
from tests.support.calls import eventually
from tests.support.operations import advance, id_of, insert, let_it_be_lost, row_of, url_of
from tests.support.sql import fetch, fetch_sync

CANCEL = "UPDATE celery_operations SET cancel_requested_at = now(), cancel_requested_by = 'mei' WHERE id = $1"
REBUILD = NewOperation("embedder", "rebuild_chat_vectors", "all of it", "mei", metadata={"min_length": 5})


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The database as the embedder's role, without operations."""
    await fetch(database_url, "DELETE FROM celery_operations")
    database = Database(await asyncio.to_thread(url_of, "embedder", database_url))
    yield database
    await database.close()


@asynccontextmanager
async def running_owner(database: Database, stop: Stop | None = None) -> AsyncIterator[Owner]:
    owner = Owner(database, "embedder", stop)
    task = asyncio.create_task(owner.run())
    try:
        yield owner
    finally:
        await end([task])


async def until(holds: Any, seconds: float = 30.0) -> None:
    await asyncio.to_thread(eventually, holds, seconds)


async def test_a_request_to_cancel_reaches_its_owner_at_once(database_url: str, database: Database) -> None:
    """Without the notification it would take 15 seconds."""
    stopped: list[tuple[str, str]] = []

    async def stop(_: Connection, operation_id: str, note: str) -> None:
        stopped.append((operation_id, note))

    # Two looks are taken without a notification: at the start, and when the connection that listens is there.
    names = [await asyncio.to_thread(insert, database_url) for _ in range(3)]
    theirs = await asyncio.to_thread(insert, database_url, "scheduler")
    await fetch(database_url, CANCEL, id_of(theirs))
    async with running_owner(database, stop):
        for name in names:
            await fetch(database_url, CANCEL, id_of(name))
            await until(lambda name=name: row_of(database_url, name)["state"] == "cancelled", 5)
    row = await asyncio.to_thread(row_of, database_url, names[-1])
    assert (row["note"], row["ended_at"] is not None) == ("cancelled by mei", True)
    assert stopped == [(str(id_of(name)), "cancelled by mei") for name in names]
    assert (await asyncio.to_thread(row_of, database_url, theirs))["state"] == "running"


async def test_a_look_gives_a_sign_of_life_for_running_operations_of_the_service_alone(
    database_url: str, database: Database
) -> None:
    names = [await asyncio.to_thread(insert, database_url, owner) for owner in ("embedder", "scheduler")]
    ended = await asyncio.to_thread(insert, database_url, total=1)
    await asyncio.to_thread(advance, database_url, ended, 1)
    for name in (*names, ended):
        await asyncio.to_thread(let_it_be_lost, database_url, name)
    before = [await asyncio.to_thread(row_of, database_url, name) for name in (*names, ended)]
    await Owner(database, "embedder").look()
    own, *others = [await asyncio.to_thread(row_of, database_url, name) for name in (*names, ended)]
    assert own["owner_seen_at"] > before[0]["owner_seen_at"]
    assert own["txid"] > before[0]["txid"], "its owner is back: readers are told"
    assert [dict(row) for row in others] == [dict(row) for row in before[1:]]
    await Owner(database, "embedder").look()
    again = await asyncio.to_thread(row_of, database_url, names[0])
    assert again["owner_seen_at"] > own["owner_seen_at"]
    assert again["txid"] == own["txid"], "another sign of life is no change"


async def test_operations_are_forgotten_thirty_days_after_their_end(
    database_url: str, database: Database
) -> None:
    running, old, older = [await asyncio.to_thread(insert, database_url, total=1) for _ in range(3)]
    for name, age in ((old, "29 days"), (older, "31 days")):
        await asyncio.to_thread(advance, database_url, name, 1)
        statement = f"UPDATE celery_operations SET ended_at = now() - interval '{age}' WHERE id = $1"
        await fetch(database_url, statement, id_of(name))
    await Owner(database, "embedder").look()
    left = {row["id"] for row in await fetch(database_url, "SELECT id FROM celery_operations")}
    assert left == {id_of(running), id_of(old)}


async def test_the_same_work_is_begun_once_at_a_time(database_url: str, database: Database) -> None:
    async with opened_sessions(database) as sessions:

        async def begin(new: NewOperation = REBUILD) -> tuple[str, bool]:
            async with sessions.transaction() as session:
                return await OperationStore(session).begin(new)

        results = await asyncio.gather(*(begin() for _ in range(8)))
        assert len({operation_id for operation_id, _ in results}) == 1
        assert sum(begun for _, begun in results) == 1
        first = results[0][0]
        other, begun = await begin(NewOperation("embedder", "rebuild_chat_vectors", "part of it", "mei"))
        assert begun and other != first
        await fetch(database_url, CANCEL, id_of(first))
        second, begun = await begin()
        assert begun and second != first, "nobody gets an operation that is about to end"
        assert (await asyncio.to_thread(row_of, database_url, first))["note"] == "cancelled by mei"
        async with sessions.transaction() as session:
            nothing, _ = await OperationStore(session).begin(NewOperation("embedder", "none", "", "mei"))
            await OperationStore(session).end_if_empty(nothing)
            operation = await OperationStore(session).get(nothing)
        assert operation.state.ended and operation.ended_at is not None


def test_progress_ends_an_operation_with_its_last_unit(database_url: str) -> None:
    name = insert(database_url, total=10)
    advance(database_url, name, 6, failed=1)
    row = row_of(database_url, name)
    assert (row["state"], row["done"], row["failed"], row["ended_at"]) == ("running", 6, 1, None)
    advance(database_url, name, 4)
    row = row_of(database_url, name)
    assert (row["state"], row["done"], row["failed"]) == ("done", 10, 1)
    assert row["ended_at"] is not None
    fetch_sync(database_url, "SELECT celery_operation_cancel($1, 'too late')", id_of(name))
    assert row_of(database_url, name)["state"] == "done"
