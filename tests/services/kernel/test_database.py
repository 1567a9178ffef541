"""One transaction a use case, over connections that may die at any time, and notices that survive that."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from services.kernel import database as module
from services.kernel.database import Connection, Database, driver_url, is_lost
from services.kernel.errors import Locked
from services.kernel.grpc.errors import outage_of
from services.kernel.outages import DATABASE_ERRORS, HELD_UP
from tests.support.locks import asleep, locked_table
from tests.support.outages import end_connections, refusing_server

WRITE = "INSERT INTO notes (words) VALUES ($1)"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS notes (id serial, words text)")
        await connection.execute("TRUNCATE notes")
    yield database
    await database.close()


@pytest.fixture
async def narrow(database: Database, database_url: str) -> AsyncIterator[Database]:
    """One connection, and the table of the other."""
    narrow = Database(database_url, pool_size=1)
    yield narrow
    await narrow.close()


async def written(database: Database) -> list[str]:
    async with database.reading() as connection:
        return [row["words"] for row in await connection.fetch("SELECT words FROM notes ORDER BY id")]


async def pid_of(database: Database) -> int:
    """Of the server's process behind the connection that is used next."""
    async with database.transaction() as connection:
        pid: int = connection.get_server_pid()
        return pid


def loss_of(connection: Connection) -> asyncio.Event:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    return lost


async def test_a_transaction_is_committed_whole(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(WRITE, "一")
        await connection.execute(WRITE, "two")
        assert await written(database) == []
    assert await written(database) == ["一", "two"]


async def test_what_is_raised_in_a_transaction_undoes_it(database: Database) -> None:
    with pytest.raises(ValueError, match="halfway"):
        async with database.transaction() as connection:
            await connection.execute(WRITE, "lost")
            raise ValueError("halfway")
    assert await written(database) == []


async def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with database.reading() as connection:
            await connection.execute(WRITE, "no")
    assert await written(database) == []


async def test_reading_sees_one_snapshot(database: Database) -> None:
    async with database.reading() as reading:
        before = await reading.fetchval("SELECT count(*) FROM notes")
        async with database.transaction() as writing:
            await writing.execute(WRITE, "meanwhile")
        assert await reading.fetchval("SELECT count(*) FROM notes") == before
    assert await written(database) == ["meanwhile"]


async def test_a_connection_without_a_transaction_copies_rows_in(database: Database) -> None:
    async with database.connection() as connection:
        rows = [(f"note {number}",) for number in range(1000)]
        await connection.copy_records_to_table("notes", records=rows, columns=["words"])
    assert len(await written(database)) == 1000


async def test_a_connection_without_a_transaction_commits_each_statement(database: Database) -> None:
    with pytest.raises(ValueError, match="after"):
        async with database.connection() as connection:
            await connection.execute(WRITE, "kept")
            raise ValueError("after")
    assert await written(database) == ["kept"]


async def test_wrong_use_of_a_connection_is_not_taken_for_an_outage(database: Database) -> None:
    with pytest.raises(asyncpg.InterfaceError) as found:
        async with database.connection() as connection:
            await connection.execute(WRITE, "one", "too many")
    assert outage_of(found.value) is None


SLIPS: dict[str, tuple[str, tuple[object, ...]]] = {
    "of a type": ("SELECT $1::timestamptz", ("2026-12-01",)),
    "of a moment without a zone": ("SELECT $1::timestamptz", (dt.datetime(2026, 12, 1),)),
    "of a NUL": ("SELECT $1::text", ("\0",)),
    "of a missing value": ("INSERT INTO notes (id) VALUES ($1)", (None,)),
    "of syntax": ("SELEC 1", ()),
    "of a column": ("SELECT nothing FROM notes", ()),
    "of a table": ("SELECT * FROM nowhere", ()),
    "of a number of values": (WRITE, ("one", "too many")),
    "of a cast": ("SELECT $1::text::int", ("one",)),
}


@pytest.mark.parametrize(("statement", "values"), SLIPS.values(), ids=SLIPS.keys())
@pytest.mark.parametrize("kind", ["transaction", "reading", "connection"])
async def test_a_slip_that_the_driver_or_the_server_finds_is_no_outage(
    database: Database, kind: str, statement: str, values: tuple[object, ...]
) -> None:
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as found:
        async with getattr(database, kind)() as connection:
            await connection.execute(statement, *values)
    assert not isinstance(found.value, DATABASE_ERRORS)
    assert outage_of(found.value) is None


@pytest.mark.parametrize("kind", ["transaction", "reading", "connection"])
async def test_an_error_of_the_file_system_is_no_outage_of_the_database(
    database: Database, kind: str
) -> None:
    with pytest.raises(OSError, match="too long") as found:
        async with getattr(database, kind)():
            ZoneInfo("x" * 300)
    assert not isinstance(found.value, DATABASE_ERRORS)
    assert outage_of(found.value) is None


async def test_a_write_to_a_standby_is_an_outage_and_one_in_a_reading_transaction_is_a_slip(
    database: Database,
) -> None:
    with pytest.raises(ConnectionError, match="standby"):
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL transaction_read_only = on")
            await connection.execute(WRITE, "lost")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as found:
        async with database.reading() as connection:
            await connection.execute(WRITE, "lost")
    assert not isinstance(found.value, DATABASE_ERRORS)


# Infinite moments, as asyncpg has them.
FIRST, LAST = dt.datetime.min, dt.datetime.max  # noqa: DTZ901
MOMENTS = {
    "infinity": LAST,
    "-infinity": FIRST,
    "20000-01-01": LAST,
    "0044-03-15 BC": FIRST,
    "9999-12-31 23:59:59.999999+00": dt.datetime.max.replace(tzinfo=dt.UTC),
    "0001-01-01 00:00:00+00": dt.datetime.min.replace(tzinfo=dt.UTC),
    "2026-03-29 01:30:00.000001+02": dt.datetime(2026, 3, 28, 23, 30, 0, 1, dt.UTC),
}


@pytest.mark.parametrize(("written_as", "moment"), MOMENTS.items(), ids=MOMENTS.keys())
async def test_every_moment_that_the_server_knows_is_read_and_one_that_python_does_not_know_as_infinite(
    database: Database, written_as: str, moment: dt.datetime
) -> None:
    async with database.connection() as connection:
        read = "SELECT ($1::text)::timestamptz AS one, ARRAY[($1::text)::timestamptz] AS many"
        row = await connection.fetchrow(read, written_as)
        assert (row["one"], row["many"]) == (moment, [moment])
        assert await connection.fetchval("SELECT $1::timestamptz", moment) == moment


async def test_a_slip_that_ends_a_listener_reaches_its_reader(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slip(*_: object, **__: object) -> Connection:
        raise KeyError("a slip of ours")

    async with asyncio.timeout(20), database.listening("notes_changed") as notices:
        assert await anext(notices) == ""
        monkeypatch.setattr(module, "open_connection", slip)
        monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.01)
        await end_connections(database.url)
        with pytest.raises(KeyError):
            await anext(notices)


async def test_a_listener_hears_notices_and_is_told_when_it_may_have_missed_some(
    database: Database,
) -> None:
    async with asyncio.timeout(20), database.listening("notes_changed") as notices:
        assert await anext(notices) == ""
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_notify('notes_changed', '七')")
        assert await anext(notices) == "七"
        await end_connections(database.url)
        assert await anext(notices) == ""
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_notify('notes_changed', '八')")
        assert await anext(notices) == "八"


async def test_a_listener_whose_connection_dies_before_it_listens_tries_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.01)
    add_listener, deaths = asyncpg.Connection.add_listener, 0

    async def dies_first(self: Connection, *given: object) -> None:
        nonlocal deaths
        if deaths < 2:
            deaths += 1
            await end_connections(database.url)
        await add_listener(self, *given)

    monkeypatch.setattr(asyncpg.Connection, "add_listener", dies_first)
    async with asyncio.timeout(20), database.listening("notes_changed") as notices:
        assert await anext(notices) == ""
    assert deaths == 2


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed", "not noticed yet"])
@pytest.mark.parametrize("kind", ["transaction", "reading"])
async def test_a_connection_that_died_is_replaced_before_it_is_used(
    narrow: Database, kind: str, noticed: bool
) -> None:
    async with narrow.transaction() as connection:
        first, lost = connection.get_server_pid(), loss_of(connection)
    await end_connections(narrow.url)
    if noticed:
        await asyncio.wait_for(lost.wait(), 20)
    async with getattr(narrow, kind)() as connection:
        assert connection.get_server_pid() != first
        assert await connection.fetchval("SELECT count(*) FROM notes") == 0


async def test_when_all_connections_died_nobody_is_given_another_dead_one(database: Database) -> None:
    async def pids() -> set[int]:
        together = asyncio.Barrier(6)

        async def use() -> int:
            async with database.transaction() as connection:
                await together.wait()
                return int(connection.get_server_pid())

        return set(await asyncio.gather(*(use() for _ in range(6))))

    before = await pids()
    await end_connections(database.url)
    after = await pids()
    assert len(before) == len(after) == 6 and not before & after


async def test_whatever_a_dead_connection_says_at_the_beginning_a_new_one_takes_its_place(
    narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the errors comes is a matter of microseconds, so each of them is raised here."""
    for error in (
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
        ConnectionResetError("reset by peer"),
    ):
        first = await pid_of(narrow)
        with monkeypatch.context() as patched:
            _fail_once(patched, error)
            assert await pid_of(narrow) != first
        async with narrow.transaction() as connection:
            await connection.execute(WRITE, str(error))
    assert len(await written(narrow)) == 5


def _fail_once(patched: pytest.MonkeyPatch, error: Exception) -> None:
    start = asyncpg.transaction.Transaction.start

    async def fails(self: asyncpg.transaction.Transaction) -> None:
        patched.setattr(asyncpg.transaction.Transaction, "start", start)
        raise error

    patched.setattr(asyncpg.transaction.Transaction, "start", fails)


async def dies_before_a_statement(connection: Connection, database_url: str) -> None:
    await end_connections(database_url)
    await connection.fetchval("SELECT 2")


async def dies_noticed_before_a_statement(connection: Connection, database_url: str) -> None:
    lost = loss_of(connection)
    assert not is_lost(connection)
    await end_connections(database_url)
    await asyncio.wait_for(lost.wait(), 20)
    assert is_lost(connection)
    await connection.fetchval("SELECT 2")


async def dies_in_a_statement(connection: Connection, _: str) -> None:
    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(20)")


async def dies_before_the_end(connection: Connection, database_url: str) -> None:
    await connection.execute(WRITE, "not committed")
    await end_connections(database_url)


KINDS = ("transaction", "reading", "connection")
DEATHS = (dies_before_a_statement, dies_noticed_before_a_statement, dies_in_a_statement)


@pytest.mark.parametrize(
    ("kind", "dies"), [*itertools.product(KINDS, DEATHS), ("transaction", dies_before_the_end)]
)
async def test_a_connection_that_dies_in_use_is_an_outage_and_the_next_use_works(
    narrow: Database, kind: str, dies: Callable[[Connection, str], Awaitable[None]]
) -> None:
    with pytest.raises(DATABASE_ERRORS) as found:
        async with getattr(narrow, kind)() as connection:
            await connection.fetchval("SELECT 1")
            await dies(connection, narrow.url)
    outage = outage_of(found.value)
    assert outage is not None
    assert "the database" in outage.message
    assert await written(narrow) == []


@pytest.mark.parametrize("sqlstate", ["57P03", "53300"], ids=["starting", "full"])
async def test_a_server_that_takes_no_connections_now_is_an_outage(sqlstate: str) -> None:
    async with refusing_server(sqlstate) as url:
        database = Database(url)
        with pytest.raises(DATABASE_ERRORS) as found:
            async with database.transaction():
                pass
        await database.close()
    assert outage_of(found.value) is not None


async def test_an_exhausted_pool_gives_up_after_a_while_and_leaves_nothing_behind(
    narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.2)
    loop = asyncio.get_running_loop()
    async with narrow.transaction():
        for kind in (narrow.transaction, narrow.reading, narrow.connection):
            begun = loop.time()
            with pytest.raises(TimeoutError) as found:
                async with kind():
                    pass
            assert loop.time() - begun < 0.39, "it waited twice"
            assert outage_of(found.value) is not None
    async with narrow.transaction() as connection:
        await connection.execute(WRITE, "again")
    assert await written(narrow) == ["again"]


async def test_who_waits_for_a_connection_gets_it_when_it_is_given_back(narrow: Database) -> None:
    async with narrow.transaction():
        waiting = asyncio.create_task(written(narrow))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
    assert await waiting == []


async def test_a_task_cancelled_in_a_transaction_rolls_back_and_gives_its_connection_back(
    narrow: Database,
) -> None:
    first = await pid_of(narrow)

    async def write() -> None:
        async with narrow.transaction() as connection:
            await connection.execute(WRITE, "lost")
            await connection.execute("SELECT pg_sleep(120)")

    writing = asyncio.create_task(write())
    await asleep(narrow.url)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await pid_of(narrow) == first
    assert await written(narrow) == []


async def test_a_task_cancelled_at_any_moment_leaves_the_connection_usable(narrow: Database) -> None:
    async def write() -> None:
        async with narrow.transaction() as connection:
            await connection.execute(WRITE, "lost")
            await asyncio.sleep(20)

    # From before the connection is had, through BEGIN, to the middle.
    for turns in range(40):
        writing = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await written(narrow) == []


async def test_connections_are_as_they_were_set_up(database: Database) -> None:
    async with database.connection() as connection:
        shown = await connection.fetch(
            "SELECT name, setting FROM pg_settings WHERE name IN"
            " ('application_name', 'TimeZone', 'idle_in_transaction_session_timeout',"
            " 'lock_timeout', 'statement_timeout')"
        )
    assert {row["name"]: row["setting"] for row in shown} == {
        "application_name": "celeriac",
        "TimeZone": "UTC",
        "idle_in_transaction_session_timeout": "10000",
        "lock_timeout": "10000",
        "statement_timeout": "300000",
    }


async def test_who_waits_for_a_lock_in_vain_is_told_that_others_hold_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    impatient = Database(database.url, pool_size=1)
    async with locked_table(database.url, "notes"):
        with pytest.raises(HELD_UP) as found:
            async with impatient.transaction() as connection:
                await connection.execute(WRITE, "lost")
        outage = outage_of(found.value)
        assert isinstance(outage, Locked)
        assert "try again" in outage.message
    async with impatient.transaction() as connection:
        await connection.execute(WRITE, "afterwards")
    await impatient.close()
    assert await written(database) == ["afterwards"]


async def test_a_deadlock_is_told_as_a_lock_that_others_hold(database: Database) -> None:
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", first)
            await both.wait()
            await connection.execute("SELECT pg_advisory_xact_lock($1)", second)

    ended = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    [error] = [error for error in ended if error is not None]
    assert isinstance(error, HELD_UP)
    assert isinstance(outage_of(error), Locked)


async def test_a_cancelled_call_does_not_wait_for_a_server_that_does_not_answer(
    narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROLLBACK_SECONDS", 0.2)
    frozen = asyncio.get_running_loop().create_future()

    async def write() -> None:
        async with narrow.transaction() as connection:
            await connection.execute(WRITE, "lost")
            pid = connection.get_server_pid()
            os.kill(pid, signal.SIGSTOP)
            frozen.set_result(pid)
            await connection.execute(WRITE, "lost, too")

    writing = asyncio.create_task(write())
    pid = await asyncio.wait_for(frozen, 20)
    try:
        writing.cancel()
        ended, _ = await asyncio.wait([writing], timeout=20)
        assert ended
        assert writing.cancelled()
        async with asyncio.timeout(20):
            assert await written(narrow) == []
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://mei:p%40ss@db:5432/celeriac?host=/tmp",
        "postgres://mei:p%40ss@db:5432/celeriac?host=/tmp",
        "postgresql+asyncpg://mei:p%40ss@db:5432/celeriac?host=/tmp",
    ],
)
def test_an_address_for_another_driver_is_one_for_ours(given: str) -> None:
    assert driver_url(given) == "postgresql://mei:p%40ss@db:5432/celeriac?host=/tmp"
