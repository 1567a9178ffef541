"""Sessions do what the database's own transactions do, and tell of its outages in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel import database as database_module
from services.kernel import sessions as module
from services.kernel.database import Database
from services.kernel.errors import Locked
from services.kernel.grpc.errors import outage_of
from services.kernel.outages import DATABASE_ERRORS, HELD_UP
from services.kernel.sessions import Sessions, opened_sessions
from tests.support.locks import asleep, locked_table
from tests.support.outages import end_connections, refusing_server

WRITE = text("INSERT INTO notes (words) VALUES (:words)")
PID = text("SELECT pg_backend_pid()")


@pytest.fixture
async def table(database_url: str) -> None:
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS notes (id serial, words text)")
        await connection.execute("TRUNCATE notes")
    await database.close()


@pytest.fixture
async def sessions(table: None, database_url: str) -> AsyncIterator[Sessions]:
    async with opened_sessions(Database(database_url)) as sessions:
        yield sessions


@pytest.fixture
async def narrow(table: None, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sessions]:
    """With one connection, for which nobody waits long."""
    monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.2)
    async with opened_sessions(Database(database_url, pool_size=1)) as sessions:
        yield sessions


async def written(sessions: Sessions) -> list[str]:
    async with sessions.reading() as session:
        return list((await session.scalars(text("SELECT words FROM notes ORDER BY id"))).all())


async def pid_of(sessions: Sessions) -> int:
    async with sessions.transaction() as session:
        pid: int = await session.scalar(PID)
        return pid


async def test_a_transaction_is_committed_whole(sessions: Sessions) -> None:
    async with sessions.transaction() as session:
        await session.execute(WRITE, {"words": "一"})
        await session.execute(WRITE, {"words": "two"})
        assert await written(sessions) == []
    assert await written(sessions) == ["一", "two"]


async def test_what_is_raised_in_a_transaction_undoes_it(sessions: Sessions) -> None:
    with pytest.raises(ValueError, match="halfway"):
        async with sessions.transaction() as session:
            await session.execute(WRITE, {"words": "lost"})
            raise ValueError("halfway")
    assert await written(sessions) == []


async def test_reading_cannot_write(sessions: Sessions) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with sessions.reading() as session:
            await session.execute(WRITE, {"words": "no"})
    assert await written(sessions) == []


async def test_reading_sees_one_snapshot(sessions: Sessions) -> None:
    count = text("SELECT count(*) FROM notes")
    async with sessions.reading() as reading:
        before = await reading.scalar(count)
        async with sessions.transaction() as writing:
            await writing.execute(WRITE, {"words": "meanwhile"})
        assert await reading.scalar(count) == before
    assert await written(sessions) == ["meanwhile"]


async def test_a_connection_that_read_can_write_afterwards(narrow: Sessions) -> None:
    assert await written(narrow) == []
    async with narrow.transaction() as session:
        await session.execute(WRITE, {"words": "yes"})
    assert await written(narrow) == ["yes"]


@pytest.mark.parametrize("kind", ["transaction", "reading"])
async def test_a_connection_that_died_is_replaced_before_it_is_used(narrow: Sessions, kind: str) -> None:
    first = await pid_of(narrow)
    await end_connections(_url(narrow))
    async with getattr(narrow, kind)() as session:
        assert await session.scalar(PID) != first


def _url(sessions: Sessions) -> str:
    plain = sessions.engine.url.set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


async def dies_before_a_statement(session: AsyncSession, database_url: str) -> None:
    await end_connections(database_url)
    await session.scalar(PID)


async def dies_in_a_statement(session: AsyncSession, _: str) -> None:
    await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(20)"))


async def dies_before_the_end(session: AsyncSession, database_url: str) -> None:
    await session.execute(WRITE, {"words": "not committed"})
    await end_connections(database_url)


@pytest.mark.parametrize("dies", [dies_before_a_statement, dies_in_a_statement, dies_before_the_end])
async def test_a_connection_that_dies_in_use_is_an_outage_and_the_next_use_works(
    narrow: Sessions, dies: Callable[[AsyncSession, str], Awaitable[None]]
) -> None:
    with pytest.raises(DATABASE_ERRORS) as found:
        async with narrow.transaction() as session:
            await session.scalar(PID)
            await dies(session, _url(narrow))
    assert outage_of(found.value) is not None
    assert await written(narrow) == []


@pytest.mark.parametrize("sqlstate", ["57P03", "53300"], ids=["starting", "full"])
async def test_a_server_that_takes_no_connections_now_is_an_outage(sqlstate: str) -> None:
    async with refusing_server(sqlstate) as url, opened_sessions(Database(url)) as sessions:
        with pytest.raises(DATABASE_ERRORS) as found:
            await written(sessions)
    assert outage_of(found.value) is not None


async def test_a_server_that_is_not_there_is_an_outage() -> None:
    async with opened_sessions(Database("postgresql://somebody@127.0.0.1:1/something")) as sessions:
        with pytest.raises(DATABASE_ERRORS) as found:
            await written(sessions)
    assert outage_of(found.value) is not None


async def test_what_is_wrong_with_a_statement_is_no_outage(sessions: Sessions) -> None:
    for wrong, values in (("SELECT * FROM nowhere", {}), ("SELECT CAST(:n AS int)", {"n": "one"})):
        with pytest.raises(StatementError) as found:
            async with sessions.transaction() as session:
                await session.execute(text(wrong), values)
        assert outage_of(found.value) is None
        assert not isinstance(found.value, DATABASE_ERRORS)


async def test_a_write_to_a_standby_is_an_outage(sessions: Sessions) -> None:
    with pytest.raises(ConnectionError, match="standby"):
        async with sessions.transaction() as session:
            await session.execute(text("SET LOCAL transaction_read_only = on"))
            await session.execute(WRITE, {"words": "lost"})


async def test_an_exhausted_pool_gives_up_after_a_while_and_leaves_nothing_behind(narrow: Sessions) -> None:
    async with narrow.transaction() as session:
        await session.scalar(PID)
        with pytest.raises(ConnectionError) as found:
            await written(narrow)
        assert outage_of(found.value) is not None
    async with narrow.transaction() as session:
        await session.execute(WRITE, {"words": "again"})
    assert await written(narrow) == ["again"]


async def test_a_task_cancelled_in_a_transaction_rolls_back_and_the_pool_stays_usable(
    narrow: Sessions,
) -> None:
    async def write() -> None:
        async with narrow.transaction() as session:
            await session.execute(WRITE, {"words": "lost"})
            await session.execute(text("SELECT pg_sleep(120)"))

    writing = asyncio.create_task(write())
    await asleep(_url(narrow))
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await written(narrow) == []


async def test_sessions_have_the_settings_of_their_database(sessions: Sessions) -> None:
    async with sessions.transaction() as session:
        shown = await session.execute(
            text(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('application_name', 'TimeZone', 'idle_in_transaction_session_timeout',"
                " 'lock_timeout', 'statement_timeout')"
            )
        )
    assert {row.name: row.setting for row in shown} == {
        "application_name": "celeriac",
        "TimeZone": "UTC",
        "idle_in_transaction_session_timeout": "10000",
        "lock_timeout": "10000",
        "statement_timeout": "300000",
    }


async def test_a_list_of_parameters_for_one_statement_is_refused(sessions: Sessions) -> None:
    table = sqlalchemy.table("notes", sqlalchemy.column("words"))
    for statement in (WRITE, table.insert(), text("DELETE FROM notes WHERE words = :words")):
        with pytest.raises(RuntimeError, match="give it arrays"):
            async with sessions.transaction() as session:
                await session.execute(statement, [{"words": "one"}, {"words": "two"}])
    with pytest.raises(RuntimeError, match="give it arrays"):
        async with sessions.engine.begin() as connection:
            await connection.execute(WRITE, [{"words": "one"}, {"words": "two"}])
    assert await written(sessions) == []


async def test_who_waits_for_a_lock_in_vain_is_told_that_others_hold_it(
    sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "LOCK_SECONDS", 0.2)
    async with opened_sessions(Database(database_url)) as impatient:
        async with locked_table(database_url, "notes"):
            with pytest.raises(HELD_UP) as found:
                async with impatient.transaction() as session:
                    await session.execute(WRITE, {"words": "lost"})
            assert isinstance(outage_of(found.value), Locked)
        async with impatient.transaction() as session:
            await session.execute(WRITE, {"words": "afterwards"})
    assert await written(sessions) == ["afterwards"]
