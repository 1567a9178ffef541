"""Tasks go a generation at a time: whatever generation a task is in, it is found, and takes newer events."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from services.kernel.database import Database
from services.kernel.errors import NotFound
from services.kernel.live_settings import LiveSettings
from services.kernel.sessions import Sessions, opened_sessions
from services.monitor.search.indexing import Indexing
from services.monitor.search.store_search import TaskSearch
from services.monitor.tasks.generations import Generations
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.retention import task_retention
from services.monitor.tasks.store_generations import GenerationStore
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_tasks import TaskBatches, TaskStore, row_of
from services.monitor.tasks.tasks import Task, TaskState
from tests.support.events import Life
from tests.support.processes import as_its_role

LIVE = LiveSettings("monitor")
DAY, RETENTION = dt.timedelta(days=1), dt.timedelta(days=30)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """As the monitor's own role, which may neither create nor drop tables."""
    own = await asyncio.to_thread(as_its_role, "monitor", {"DATABASE_URL": database_url})
    database = Database(own["DATABASE_URL"])
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM celery_task_results_ext")
        store = GenerationStore(connection)
        for each in (await store.all())[:-1]:
            await store.drop(each)
    yield database
    await database.close()


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[Sessions]:
    async with opened_sessions(database) as sessions:
        yield sessions


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def write(database: Database, lives: Sequence[Life], *steps: str) -> None:
    """Writes what the steps tell of each of the lives ("sent", "received" …)."""
    records = []
    for life in lives:
        record = TaskRecord(life.id)
        for step in steps:
            event = getattr(life, step)()
            record.hear(event["type"], int(event["timestamp"] * 1e6), event)
        records.append(record)
    async with database.connection() as connection:
        batches = TaskBatches(connection)
        await batches.prepare()
        await batches.write([row_of(record) for record in records])


async def close(database: Database) -> None:
    async with database.transaction() as connection:
        await GenerationStore(connection).close()


async def found(sessions: Sessions, wanted: TaskFilter) -> Sequence[Task]:
    async with sessions.reading() as session:
        return await TaskSearch(session).list(wanted, None, 10_000)


async def test_tasks_of_closed_generations_are_listed_found_and_searched(
    database: Database, sessions: Sessions
) -> None:
    lives = [Life(time.time() - 100 + number, name=f"name {number % 2}") for number in range(40)]
    for begin in range(0, 40, 10):
        await write(database, lives[begin : begin + 10], "sent", "received", "started", "succeeded")
        if begin < 30:
            await close(database)
    assert [task.id for task in await found(sessions, TaskFilter())] == [life.id for life in lives[::-1]]
    named = await found(sessions, TaskFilter(tasks=("name 1",), states=(TaskState.SUCCESS,)))
    assert len(named) == 20
    assert len(await found(sessions, TaskFilter(text="(0,)"))) == 40
    async with sessions.reading() as session:
        assert (await TaskStore(session).get(lives[0].id)).state is TaskState.SUCCESS


async def test_a_task_of_a_closed_generation_takes_newer_events_and_no_older_ones(
    database: Database, sessions: Sessions
) -> None:
    life = Life(time.time() - 100)
    await write(database, [life], "sent", "received", "started")
    await close(database)
    early = Life(time.time() - 200, task_id=life.id, name="an older try")
    await write(database, [early], "received")
    (task,) = await found(sessions, TaskFilter())
    assert (task.state, task.task) == (TaskState.STARTED, "add")
    await close(database)
    await write(database, [life], "succeeded")
    (task,) = await found(sessions, TaskFilter())
    assert (task.state, task.task, task.result) == (TaskState.SUCCESS, "add", "3")


async def test_what_is_written_while_a_generation_is_closed_is_in_one_of_both(
    database: Database, sessions: Sessions
) -> None:
    lives = [Life(time.time() - 100) for _ in range(600)]

    async def write_all() -> None:
        for begin in range(0, 600, 20):
            await write(database, lives[begin : begin + 20], "sent", "received")
        await write(database, lives, "started", "succeeded")

    writing = asyncio.create_task(write_all())
    closed = 0
    while not writing.done() and closed < 5:
        await asyncio.sleep(0.05)
        await close(database)
        closed += 1
    await writing
    assert len(await found(sessions, TaskFilter(states=(TaskState.SUCCESS,)))) == 600
    assert len(await found(sessions, TaskFilter())) == 600


async def test_an_old_generation_goes_as_a_whole_and_no_row_is_deleted(
    database: Database, database_url: str, sessions: Sessions
) -> None:
    old, kept = [Life(time.time() - 10) for _ in range(5_000)], Life(time.time() - 10)
    await write(database, [*old, kept], "sent", "received")
    generations = Generations(database, LIVE)
    assert not await generations.look(now())
    assert await generations.look(now() + DAY + dt.timedelta(minutes=1)), "it is a day old"
    await write(database, [kept], "started")
    async with database.connection() as connection:
        table = (await GenerationStore(connection).all())[0].table
    owner = Database(database_url)
    async with owner.connection() as connection:
        await connection.execute(
            f"""
            CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE 'a row is deleted'; END $$;
            CREATE TRIGGER refuse BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_{table}();
            """
        )
    await owner.close()
    assert await generations.look(now() + RETENTION - DAY), "the next one is closed"
    assert generations.dropped["age"] == 0
    assert await generations.look(now() + RETENTION + DAY)
    assert [task.id for task in await found(sessions, TaskFilter())] == [kept.id], "it was heard of since"
    assert (generations.dropped, generations.remark) == ({"age": 1, "room": 0}, "")
    async with sessions.reading() as session:
        with pytest.raises(NotFound):
            await TaskStore(session).get(old[0].id)


async def test_the_oldest_generations_go_where_tasks_take_more_than_they_may(
    database: Database, sessions: Sessions
) -> None:
    most = 16 * 1024 * 1024
    generations = Generations(database, LIVE, most)
    newest: list[Life] = []
    while not generations.dropped["room"]:
        newest = [Life(time.time() - 10) for _ in range(2_000)]
        await write(database, newest, "sent", "received")
        while await generations.look(now()):
            pass
        assert generations.bytes <= most
    assert generations.bytes > most // 2
    ids = {task.id for task in await found(sessions, TaskFilter())}
    assert {life.id for life in newest} <= ids
    assert f"were dropped: more than {most} bytes" in generations.remark


async def test_tasks_that_were_there_before_generations_are_deleted_when_they_are_old(
    database: Database, database_url: str, sessions: Sessions
) -> None:
    await write(database, [Life(time.time() - 40 * 86400)], "sent", "received")
    young = Life(time.time() - 10 * 86400)
    await write(database, [young], "sent", "received")
    await close(database)
    owner = Database(database_url)
    async with owner.connection() as connection:
        # As the migration leaves it, which finds tasks in the table.
        await connection.execute(
            "UPDATE celery_task_generations SET oldest_at = now() - interval '40 days' WHERE number ="
            " (SELECT min(number) FROM celery_task_generations)"
        )
    await owner.close()
    assert await task_retention(database, LIVE).sweep() == 1
    assert [task.id for task in await found(sessions, TaskFilter())] == [young.id]


async def test_the_search_index_goes_with_its_generation(database: Database, sessions: Sessions) -> None:
    lives = [Life(time.time() - 100) for _ in range(3_000)]
    await write(database, lives, "sent", "received")
    indexing = Indexing(database, lambda: 0.0)
    while await indexing.step():
        pass
    await close(database)
    assert await Generations(database, LIVE).look(now() + RETENTION + DAY)
    later = [Life(time.time() - 50) for _ in range(3_000)]
    await write(database, later, "sent", "received")
    while await indexing.step():
        pass
    assert len(await found(sessions, TaskFilter(text="(0,)"))) == 3_000
    async with database.connection() as connection:
        slices = await connection.fetchval("SELECT sum(tasks) FROM celery_task_slices")
    assert slices <= 3_000


async def test_of_a_task_that_the_version_before_wrote_again_the_newest_row_is_shown(
    database: Database, sessions: Sessions
) -> None:
    """That version writes what it hears of a task of a closed generation as a row of its own."""
    life = Life(time.time(), "in two generations")
    await write(database, [life], "received", "started")
    await close(database)
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO celery_task_results_ext (id, task, heard_at, updated_at, succeeded_at)"
            " VALUES ($1, 'add', $2, $2, $2)",
            life.id,
            now() + dt.timedelta(seconds=5),
        )
    async with sessions.reading() as session:
        assert (await TaskStore(session).get(life.id)).state is TaskState.SUCCESS
        assert [task.state for task in await TaskStore(session).get_several([life.id])] == [TaskState.SUCCESS]
    await write(database, [life], "failed")
    assert [task.id for task in await found(sessions, TaskFilter())] == [life.id]
