"""A search by the index gives what a look at every task gives, and looks at few."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text

from services.kernel.database import Database
from services.kernel.pages import Place
from services.kernel.sessions import Sessions, opened_sessions
from services.monitor.pace import Pace
from services.monitor.search.indexing import Indexing
from services.monitor.search.postings import MOST_TASKS
from services.monitor.search.store_search import TaskSearch
from services.monitor.search.store_slices import MOST_LATE, STEP
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.tasks import Task, TaskState
from tests.support.calls import eventually
from tests.support.sql import fetch_sync

# One and a half slices, and as many tasks at one moment as fill several pages.
TASKS, PAGE = MOST_TASKS + MOST_TASKS // 2, 51
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
FILL = """
    INSERT INTO celery_task_results_ext (id, task, queue, worker, worker_pid, args, kwargs, result, exception,
        exception_type, heard_at, updated_at, succeeded_at, failed_at)
    SELECT 't-' || n, 'task-' || n % 11, 'queue-' || n % 13, 'host-' || n % 5, n % 7,
        '[' || n || ', ''Order timeout''' || CASE WHEN n % 3 = 0 THEN ' rebuild vector]' ELSE ' vector ]' END,
        CASE WHEN n % 4 = 0 THEN '{''消息'': ''处理用户''}' ELSE '{''消息'': ''用户处理''}' END,
        CASE WHEN n % 50 <> 0 THEN '订单' || n / 100 END,
        CASE WHEN n % 50 = 0 THEN 'KeyError(' || n || ')' END, CASE WHEN n % 50 = 0 THEN 'KeyError' END,
        at, at, CASE WHEN n % 50 <> 0 THEN at END, CASE WHEN n % 50 = 0 THEN at END
    FROM generate_series($1::int, $2::int) AS n,
        LATERAL (SELECT $3::timestamptz - n / 200 * interval '1 s' AS at)
"""
FILTERS = [
    TaskFilter(text="ORDER Timeout"),
    TaskFilter(text="keyerror(4"),
    TaskFilter(text="keyerror", only_exceptions=True),
    TaskFilter(text="order", only_exceptions=True),
    TaskFilter(text="处理用户"),
    TaskFilter(text="户处"),
    TaskFilter(text="订单77"),
    TaskFilter(text="[777,"),
    TaskFilter(text="rebuild vector]", states=[TaskState.FAILURE]),
    TaskFilter(text="vector rebuild"),
    TaskFilter(text="nosuch"),
    TaskFilter(text="不存在"),
    TaskFilter(text="7"),
    TaskFilter(text="q"),
    TaskFilter(text="户"),
    TaskFilter(text="Or"),
    TaskFilter(tasks=["task-3"], queues=["queue-4"]),
    TaskFilter(tasks=["task-3", "task-5"], states=[TaskState.FAILURE]),
    TaskFilter(workers=[WorkerName("host-1", 3), WorkerName("host-2")], queues=["queue-1"]),
    TaskFilter(exception_types=["KeyError", "None"], queues=["queue-1"]),
    TaskFilter(exception_types=["KeyError"], states=[TaskState.SUCCESS], text="vector"),
    TaskFilter(workers=[WorkerName("host-none")], queues=["queue-1"]),
    TaskFilter(text="timeout", start=NOW - dt.timedelta(seconds=30), end=NOW - dt.timedelta(seconds=20)),
]
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
# Of this transaction, and of others of its connection that are not reported yet.
READ = """
    SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
    WHERE relname = 'celery_task_results_ext'
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("TRUNCATE celery_task_results_ext")
    yield database
    await database.close()


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[Sessions]:
    async with opened_sessions(database) as sessions:
        yield sessions


async def index_all(database: Database) -> None:
    indexing = Indexing(database, lambda: 0.0)
    while await indexing.step():
        pass


async def run(database: Database, statement: str, *values: object) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *values)


async def fill(database: Database, first: int = 1, last: int = TASKS, now: dt.datetime = NOW) -> None:
    await run(database, FILL, first, last, now)


async def pages(store: TaskSearch | TaskStore, wanted: TaskFilter, most: int) -> list[Task]:
    """The first pages of a list, `most` tasks in all."""
    found: list[Task] = []
    after: Place | None = None
    while len(found) < most:
        page = await store.list(wanted, after, PAGE)
        found += page
        if len(page) < PAGE:
            break
        after = (page[-1].heard_at, page[-1].id)
    return found


async def compare(sessions: Sessions, filters: Sequence[TaskFilter] = FILTERS, most: int = 3 * PAGE) -> None:
    async with sessions.reading() as session:
        for wanted in filters:
            by_index = await pages(TaskSearch(session), wanted, most)
            assert by_index == await pages(TaskStore(session), wanted, most), wanted
            # From the middle of what is found on, too.
            middle = replace(wanted, end=NOW - dt.timedelta(seconds=TASKS / 400))
            by_index = await pages(TaskSearch(session), middle, PAGE)
            assert by_index == await pages(TaskStore(session), middle, PAGE), middle


async def read_for(sessions: Sessions, wanted: TaskFilter, after: Place | None) -> tuple[int, int]:
    """How many tasks a page of a search has, and how many it looked at."""
    async with sessions.reading() as session:
        before = await session.scalar(text(READ))
        found = await TaskSearch(session).list(wanted, after, PAGE)
        return len(found), await session.scalar(text(READ)) - before


async def count(database: Database, table: str) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


async def test_a_search_finds_the_same_with_the_index_and_without(
    database: Database, sessions: Sessions
) -> None:
    await fill(database)
    await compare(sessions)
    await index_all(database)
    assert await count(database, "celery_task_slices") == 2
    await compare(sessions)
    # More than there were, in the last slice and in a new one, and a few that are in none yet.
    await fill(database, TASKS + 1, 2 * TASKS, NOW + dt.timedelta(seconds=TASKS / 100))
    await index_all(database)
    await fill(database, 2 * TASKS + 1, 2 * TASKS + 300, NOW + dt.timedelta(seconds=TASKS / 50))
    await compare(sessions)


async def test_a_search_that_finds_nothing_looks_at_no_task_of_the_index(
    database: Database, sessions: Sessions
) -> None:
    await fill(database)
    await index_all(database)
    for wanted in (
        TaskFilter(text="nosuch"),
        TaskFilter(text="不存在"),
        TaskFilter(text="zq"),
        TaskFilter(text="order", only_exceptions=True),
        TaskFilter(tasks=["task-none"], queues=["queue-4"]),
        # What stands side by side nowhere, although each part of it is in every task or in every third.
        TaskFilter(text="timeout order"),
    ):
        assert await read_for(sessions, wanted, None) == (0, 0), wanted


async def test_a_page_of_what_many_tasks_have_looks_at_few_of_them(
    database: Database, sessions: Sessions
) -> None:
    await fill(database)
    await index_all(database)
    deep = (NOW - dt.timedelta(seconds=45), "t-9000")
    for wanted in (
        TaskFilter(text="timeout"),
        TaskFilter(text="处理用户"),
        TaskFilter(states=[TaskState.SUCCESS], queues=["queue-4"]),
    ):
        for after in (None, deep):
            found, read = await read_for(sessions, wanted, after)
            assert found == PAGE and read <= 6 * PAGE, (wanted, after)


CHANGES = [
    # A task that is tried again, and then ends in another way; of every part of the index.
    """UPDATE celery_task_results_ext SET failed_at = updated_at + interval '1 s', args = 'vector rebuild',
        exception = 'KeyError(4711)' WHERE id IN ('t-3', 't-500', 't-5000', 't-9999')""",
    # An earlier event comes later.
    "UPDATE celery_task_results_ext SET heard_at = heard_at - interval '20 s' WHERE id IN ('t-70', 't-8000')",
    # Tasks of which nothing was heard in time.
    """INSERT INTO celery_task_results_ext (id, queue, task, args, heard_at, updated_at)
        SELECT 'late-' || n, 'queue-4', 'task-3', 'nosuch 不存在', $1, $1 FROM generate_series(1, 3) AS n""",
    "DELETE FROM celery_task_results_ext WHERE id IN ('t-15', 't-777', 't-4444', 't-8001')",
    "DELETE FROM celery_task_results_ext WHERE heard_at < $1",
    "DELETE FROM celery_task_results_ext",
]


@pytest.mark.parametrize("changes", [CHANGES[:4], CHANGES[4:5], CHANGES[5:]], ids=["some", "old", "all"])
async def test_what_is_written_after_it_was_indexed_is_found_as_it_is_now(
    database: Database, sessions: Sessions, changes: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database)
    await index_all(database)
    for change in changes:
        await run(database, change, *([NOW - dt.timedelta(seconds=40)] if "$1" in change else []))
    await compare(sessions, FILTERS[:11])
    monkeypatch.setattr(
        "services.monitor.search.store_slices.MANY_LATE", "SELECT count(*) > 0 FROM celery_task_late"
    )
    await index_all(database)
    await compare(sessions, FILTERS[:11])
    assert await count(database, "celery_task_late") == 0


async def test_a_slice_is_made_anew_once_many_of_its_tasks_were_written(
    database: Database, sessions: Sessions
) -> None:
    await fill(database)
    await index_all(database)
    change = """
        UPDATE celery_task_results_ext SET kwargs = '改了'
        WHERE id IN (SELECT 't-' || n FROM generate_series(1, $1::int) AS n)
    """
    await run(database, change, MOST_LATE - 1)
    await index_all(database)
    assert await count(database, "celery_task_late") == MOST_LATE - 1
    await run(database, change, MOST_LATE)
    await index_all(database)
    assert await count(database, "celery_task_late") == 0
    await compare(sessions, [TaskFilter(text="改了"), *FILTERS[:3]])


async def test_many_tasks_that_come_between_others_make_slices_of_their_own(
    database: Database, sessions: Sessions
) -> None:
    await fill(database)
    await index_all(database)
    await fill(database, TASKS + 1, 3 * TASKS, NOW + dt.timedelta(seconds=TASKS / 300))
    await index_all(database)
    assert await count(database, "celery_task_late") < MOST_LATE
    await compare(sessions, FILTERS[1:3], most=TASKS)


async def test_slices_whose_tasks_are_all_deleted_go_with_all_that_belongs_to_them_but_for_the_last(
    database: Database, sessions: Sessions
) -> None:
    await fill(database)
    await index_all(database)
    await run(database, "DELETE FROM celery_task_results_ext")
    await index_all(database)
    assert await count(database, "celery_task_slices") == 1
    for table in ("celery_task_slice_ids", "celery_task_grams"):
        assert await count(database, f"{table} WHERE slice NOT IN (SELECT id FROM celery_task_slices)") == 0
    await fill(database, 1, 2 * STEP, NOW + dt.timedelta(hours=1))
    await index_all(database)
    assert await count(database, "celery_task_slices WHERE tasks > 0") == 1
    await compare(sessions, [TaskFilter(text="timeout")])


async def test_a_task_whose_writing_is_not_committed_yet_when_others_are_closed_is_not_missed(
    database: Database, sessions: Sessions
) -> None:
    """Whoever closes tasks waits for it: by the lock that the trigger of the writing took."""
    await fill(database)
    slow = """
        INSERT INTO celery_task_results_ext (id, args, heard_at, updated_at) VALUES ('slow', 'nosuch', $1, $1)
    """
    async with database.transaction() as connection:
        await connection.execute(slow, NOW - dt.timedelta(seconds=10))
        closing = asyncio.create_task(index_all(database))
        await asyncio.to_thread(eventually, lambda: fetch_sync(database.url, WAITING)[0]["count"])
    await closing
    async with sessions.reading() as session:
        found = await TaskSearch(session).list(TaskFilter(text="nosuch"), None, PAGE)
    assert [task.id for task in found] == ["slow"]


async def test_of_two_monitors_one_makes_slices(database: Database) -> None:
    await fill(database)
    indexing = [Indexing(database, lambda: 0.0) for _ in range(3)]
    for _ in range(4):
        await asyncio.gather(*(each.step() for each in indexing))
    await index_all(database)
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT tasks FROM celery_task_slices ORDER BY to_at")
    assert sum(row["tasks"] for row in rows) == TASKS


WRITE = """
    INSERT INTO celery_task_results_ext (id, queue, task, args, heard_at, updated_at)
    SELECT DISTINCT ON (1) 'w-' || (random() * 3000)::int, 'queue-' || n % 3, 'task-' || n % 5,
        'round ' || $1 || ' 第' || $1 || '轮', now() - random() * interval '1 minute', now()
    FROM generate_series(1, 20) AS n
    ORDER BY 1
    ON CONFLICT (id) DO UPDATE SET args = excluded.args, queue = excluded.queue,
        updated_at = excluded.updated_at,
        heard_at = least(celery_task_results_ext.heard_at, excluded.heard_at)
"""
ROUNDS = 30


async def test_each_search_is_right_while_tasks_are_written_and_slices_made(
    database: Database, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of small slices, so that each is made anew again and again."""
    few_late = "SELECT count(*) >= 10 FROM celery_task_late"
    small = {"STEP": 50, "MANY_LATE": few_late, "FRESH": dt.timedelta(), "MOST_TEXT": 1000}
    for name, value in small.items():
        monkeypatch.setattr(f"services.monitor.search.store_slices.{name}", value)
    written = 0

    async def write() -> None:
        nonlocal written
        while True:
            async with database.transaction() as connection:
                await connection.execute(WRITE.replace("$1", str(written % 7)))
                # Others come and go before it is committed.
                await asyncio.sleep(0.002 * (written % 4))
            if written % 10 == 9:
                await run(database, "DELETE FROM celery_task_results_ext WHERE id LIKE 'w-1%9'")
            written += 1

    indexing = Indexing(database, lambda: 0.0, pace=Pace(search_index=0.01)).loop.run()
    others = [asyncio.create_task(each) for each in (write(), write(), indexing)]
    try:
        for round_number in range(ROUNDS):
            async with sessions.reading() as session:
                for wanted in (
                    TaskFilter(text=f"第{round_number % 7}轮"),
                    TaskFilter(text=f"round {round_number % 7}", queues=["queue-1"]),
                    TaskFilter(queues=["queue-2"], tasks=["task-4"]),
                ):
                    by_index = await pages(TaskSearch(session), wanted, 4 * PAGE)
                    assert by_index == await pages(TaskStore(session), wanted, 4 * PAGE), wanted
            assert not any(each.done() for each in others)
    finally:
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    assert written > ROUNDS / 2
    assert await count(database, "celery_task_slices") > 1
