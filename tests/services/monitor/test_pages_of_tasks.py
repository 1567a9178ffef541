"""A page of tasks is read by an index, however many tasks there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest

from services.kernel.pages import Place
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.store_listing import MOST_BRANCHES, TaskFilter, listing
from services.monitor.tasks.tasks import TaskState
from tests.support.sql import compiled, fetch, fetch_sync, most_rows_read

TASKS, PAGE = 20_000, 51
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
# One a second into the past; of a hundred, one failed, and one was of a rare task on a rare queue and worker.
# Each had an exception in some try.
FILL = f"""
    INSERT INTO celery_task_results_ext
        (id, task, queue, worker, worker_pid, args, root_id, parent_id, heard_at, updated_at, succeeded_at,
        failed_at, exception_type)
    SELECT 't-' || n, kind || 'task', kind || 'queue', kind || 'worker', n % 1000, '[' || n || ']',
        't-' || n - n % 200, CASE WHEN n % 200 > 100 THEN 't-' || n - n % 200 END, at, at,
        CASE WHEN n % 100 <> 50 THEN at END, CASE WHEN n % 100 = 50 THEN at END, 'Error'
    FROM generate_series(1, {TASKS}) AS n,
        LATERAL (SELECT $1::timestamptz - n * interval '1 second' AS at,
            CASE n % 100 WHEN 0 THEN 'rare-' ELSE '' END AS kind) AS each
"""
MIDDLE: Place = (NOW - dt.timedelta(seconds=TASKS / 2), "t-10000")


@pytest.fixture(scope="module")
def url(database_url: str) -> str:
    fetch_sync(database_url, FILL, NOW)
    fetch_sync(database_url, "VACUUM ANALYZE celery_task_results_ext")
    return database_url


@pytest.mark.parametrize("after", [None, MIDDLE], ids=["first", "middle"])
@pytest.mark.parametrize(
    "wanted",
    [
        TaskFilter(),
        TaskFilter(states=[TaskState.FAILURE]),
        TaskFilter(tasks=["rare-task"]),
        TaskFilter(queues=["rare-queue"]),
        TaskFilter(workers=[WorkerName("rare-worker")]),
        TaskFilter(exception_types=["Error"]),
        TaskFilter(exception_types=["Error"], states=[TaskState.FAILURE]),
        TaskFilter(states=[TaskState.SUCCESS], tasks=["task"], queues=["queue"]),
        TaskFilter(end=MIDDLE[0]),
    ],
    ids=str,
)
async def test_a_page_looks_at_few_rows_beside_those_it_has(
    wanted: TaskFilter, after: Place | None, url: str
) -> None:
    assert PAGE <= await most_rows_read(url, listing(wanted, after, PAGE)) <= 2 * PAGE


async def test_a_text_is_looked_for_in_the_order_of_the_page(url: str) -> None:
    """All have it: a page is full soon."""
    assert await most_rows_read(url, listing(TaskFilter(text="["), None, PAGE)) <= 2 * PAGE


@pytest.mark.parametrize("after", [None, MIDDLE], ids=["first", "middle"])
@pytest.mark.parametrize(
    ("wanted", "branches"),
    [
        (TaskFilter(states=[TaskState.FAILURE, TaskState.SUCCESS]), 2),
        (TaskFilter(states=[TaskState.FAILURE, TaskState.REVOKED]), 2),
        (TaskFilter(tasks=["rare-task", "task"], states=[TaskState.SUCCESS]), 2),
        (TaskFilter(queues=["rare-queue", "none", "queue"], end=MIDDLE[0]), 3),
        (TaskFilter(workers=[WorkerName("worker"), WorkerName("rare-worker")]), 2),
    ],
    ids=str,
)
async def test_of_several_values_each_costs_a_page_at_most(
    wanted: TaskFilter, branches: int, after: Place | None, url: str
) -> None:
    assert PAGE <= await most_rows_read(url, listing(wanted, after, PAGE)) <= 2 * PAGE * branches


async def test_of_one_process_of_a_hostname_only_its_own_tasks_are_read(url: str) -> None:
    """Those of its hostname's other processes are passed over within the index."""
    wanted = TaskFilter(workers=[WorkerName("rare-worker", 700)])
    assert await most_rows_read(url, listing(wanted, None, PAGE)) == TASKS / 1000


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (TaskFilter(root="t-400"), range(400, 400 + PAGE)),
        (TaskFilter(parent="t-400"), range(501, 501 + PAGE)),
        (TaskFilter(root="t-400", states=[TaskState.FAILURE]), [450, 550]),
        (TaskFilter(root="t-400", parent="t-400", states=[TaskState.FAILURE]), [550]),
        (TaskFilter(root="t-401"), []),
        (TaskFilter(root="t-none", parent="t-400"), []),
    ],
    ids=str,
)
async def test_tasks_of_a_workflow_and_those_called_from_one_are_found_by_an_index(
    wanted: TaskFilter, found: Sequence[int], url: str
) -> None:
    assert await ids_of(url, wanted) == [f"t-{number}" for number in found]
    assert await most_rows_read(url, listing(wanted, None, PAGE)) <= 201


async def test_filters_with_more_combinations_than_branches_still_give_what_matches(url: str) -> None:
    many = [f"none-{number}" for number in range(MOST_BRANCHES - 1)]
    wanted = TaskFilter(tasks=[*many, "rare-task"], queues=[*many, "rare-queue"])
    assert await ids_of(url, wanted) == [f"t-{100 * number}" for number in range(1, PAGE + 1)]


async def test_values_of_several_filters_are_merged_in_the_order_of_the_list(url: str) -> None:
    wanted = TaskFilter(
        tasks=["rare-task", "none", "rare-task"], states=[TaskState.SUCCESS, TaskState.FAILURE]
    )
    assert await ids_of(url, wanted) == [f"t-{100 * number}" for number in range(1, PAGE + 1)]


async def test_a_process_that_its_hostname_stands_for_is_listed_once(url: str) -> None:
    wanted = TaskFilter(workers=[WorkerName("rare-worker", 0), WorkerName("rare-worker")])
    assert await ids_of(url, wanted) == [f"t-{100 * number}" for number in range(1, PAGE + 1)]


async def test_a_text_is_looked_for_in_exceptions_alone_where_that_is_asked(url: str) -> None:
    assert await ids_of(url, TaskFilter(text="[7]")) == ["t-7"]
    assert await ids_of(url, TaskFilter(text="[7]", only_exceptions=True)) == []


async def ids_of(url: str, wanted: TaskFilter) -> list[str]:
    query, values = compiled(listing(wanted, None, PAGE))
    return [row["id"] for row in await fetch(url, query, *values)]
