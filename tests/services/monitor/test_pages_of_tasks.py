"""A page of tasks is read by an index, however many tasks there are."""

from __future__ import annotations

import datetime as dt

import pytest

from services.kernel.pages import Place
from services.monitor.tasks.store_tasks import TaskFilter, listing
from services.monitor.tasks.tasks import TaskState
from tests.support.sql import fetch_sync, most_rows_read

TASKS, PAGE = 20_000, 51
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
# One a second into the past; of a hundred, one failed, and one was of a rare task on a rare queue and worker.
FILL = f"""
    INSERT INTO celery_task_results_ext
        (id, task, queue, worker, args, heard_at, updated_at, succeeded_at, failed_at)
    SELECT 't-' || n, kind || 'task', kind || 'queue', kind || 'worker', '[' || n || ']', at, at,
        CASE WHEN n % 100 <> 50 THEN at END, CASE WHEN n % 100 = 50 THEN at END
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
        TaskFilter(state=TaskState.FAILURE),
        TaskFilter(task="rare-task"),
        TaskFilter(queue="rare-queue"),
        TaskFilter(worker="rare-worker"),
        TaskFilter(state=TaskState.SUCCESS, task="task", queue="queue"),
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
