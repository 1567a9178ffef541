"""With a million schedules and a million runs, a batch reads and writes as few pages as with a thousand.

`make soak` runs it; test_query_plans.py has the same queries with a hundred thousand.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import asyncpg
import pytest

from services.kernel.database import driver_url
from services.scheduler.catalogue.store_listing import (
    SETTINGS,
    RunFilter,
    ScheduleFilter,
    a_rare_facet,
    listing,
    listing_runs,
    needs_a_rare_facet,
)
from services.scheduler.dispatch import store_batches, store_due
from tests.support.sql import fetch, nodes, plan_of

pytestmark = pytest.mark.soak
MILLION = 1_000_000
BATCH = 1000
FILL = f"""
    INSERT INTO celery_schedules (id, task, args_json, kwargs_json, queue, priority, headers, crontab,
        time_zone, description, labels, paused, pause_note, next_run_at)
    SELECT 's-' || n, CASE WHEN rare THEN 'rare' ELSE 'task-' || n % 100 END, '[]', '{{}}',
        CASE WHEN rare THEN 'rare' ELSE 'celery' END, 0, '{{}}', '* * * * *', 'UTC',
        '', CASE WHEN rare THEN '{{"team": "rare"}}' ELSE '{{"team": "growth"}}' END::jsonb,
        false, '', now() + (n - {BATCH}) * interval '1 second'
    FROM generate_series(1, {MILLION}) AS n, LATERAL (SELECT n % {MILLION // 10} = 0 AS rare) AS at;
    INSERT INTO celery_schedule_batches (published_at)
    SELECT now() FROM generate_series(1, {MILLION // BATCH + 1});
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id, outcome)
    SELECT 's-' || n, now() - n * interval '1 second', 'batched', 'due', 1 + n / {BATCH}, 'SUCCESS'
    FROM generate_series(1, {MILLION}) AS n;
    ANALYZE celery_schedules, celery_schedule_facets, celery_schedule_runs, celery_schedule_batches;
"""


@pytest.fixture(scope="module")
def million_url(database_url: str) -> str:
    async def filled() -> None:
        connection = await asyncpg.connect(driver_url(database_url))
        try:
            await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
            await connection.execute(FILL)
        finally:
            await connection.close()

    asyncio.run(filled())
    return database_url


async def pages(
    url: str, query: str, *values: Any, settings: str = store_batches.SETTINGS
) -> tuple[int, set[str]]:
    """How often a query touched a page of 8 KiB, and the tables that it read whole."""
    plan = await plan_of(url, query, *values, settings=settings)
    whole = {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
    return touched_by(plan), whole


def touched_by(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def pages_of_list(url: str, wanted: ScheduleFilter, after: str) -> tuple[int, int]:
    """How many schedules a page of 100 has, and how many pages of 8 KiB it touches, the search for it too."""
    rare, touched = None, 0
    if needs_a_rare_facet(wanted):
        probe = a_rare_facet(wanted)
        assert probe is not None
        query, values = probe
        rare = next((row["number"] for row in await fetch(url, query, *values)), None)
        touched = touched_by(await plan_of(url, query, *values, settings=SETTINGS))
    query, values = listing(wanted, after, 101, rare)
    found = await fetch(url, query, *values)
    return len(found), touched + touched_by(await plan_of(url, query, *values))


async def pages_of_runs(url: str, wanted: RunFilter) -> tuple[int, set[str]]:
    """As `pages`, of the first 100 of a list."""
    query, values = listing_runs(wanted, None, 101)
    return await pages(url, query, *values, settings="SELECT 1")


async def some(url: str, query: str) -> tuple[list[str], list[dt.datetime]]:
    rows = await fetch(url, f"{query} LIMIT {BATCH}")
    return [row[0] for row in rows], [row[1] for row in rows]


@pytest.mark.timeout(300)
async def test_a_batch_touches_few_pages(million_url: str) -> None:
    """A row is three or four pages deep in an index of a million; a changed one is put into each index."""
    ids, moments = await some(million_url, "SELECT id, next_run_at FROM celery_schedules")
    later, places = [moment + dt.timedelta(days=30) for moment in moments], list(range(1, len(moments) + 1))
    forget = f"DELETE FROM celery_schedule_runs WHERE schedule_id = ANY('{{{','.join(ids)}}}')"
    as_new = f"{store_batches.SETTINGS}; {forget}"
    touched = {
        "claim": await pages(million_url, store_due.CLAIM, BATCH),
        "record": await pages(million_url, store_due.IN_TIME, ids, places, later, 1, settings=as_new),
        "publish": await pages(million_url, store_batches.PUBLISHED, [MILLION // BATCH]),
        "unpublished": await pages(
            million_url, store_batches.UNPUBLISHED, dt.timedelta(seconds=3), BATCH, settings="SELECT 1"
        ),
        "next": await pages(
            million_url,
            "SELECT min(next_run_at) - clock_timestamp() FROM celery_schedules",
            settings="SELECT 1",
        ),
        "page": await pages(
            million_url,
            "SELECT * FROM celery_schedules WHERE id > $1 ORDER BY id LIMIT 101",
            "s-5",
            settings="SELECT 1",
        ),
        "runs": await pages(
            million_url,
            "SELECT * FROM celery_schedule_runs_seen ORDER BY due_at DESC, schedule_id DESC LIMIT 101",
            settings="SELECT 1",
        ),
        "failed": await pages_of_runs(million_url, RunFilter(outcomes=frozenset({"FAILURE", "REVOKED"}))),
        "failed of one": await pages_of_runs(million_url, RunFilter("s-7", outcomes=frozenset({"FAILURE"}))),
        "succeeded": await pages_of_runs(million_url, RunFilter(outcomes=frozenset({"SUCCESS"}))),
    }
    assert {name: whole for name, (_, whole) in touched.items() if whole} == {}
    most = {"claim": 5.0, "record": 40, "publish": 0.1, "unpublished": 0.1, "next": 1, "page": 1, "runs": 2}
    most |= {"failed": 0.1, "failed of one": 0.1, "succeeded": 2}
    beyond = {name: count for name, (count, _) in touched.items() if count > most[name] * BATCH}
    assert beyond == {}, touched
    # Of a single row, or of none.
    assert touched["next"][0] < 20 and touched["unpublished"][0] < 20, touched


@pytest.mark.parametrize(
    ("wanted", "listed"),
    [
        (ScheduleFilter(task_names=("rare",)), 10),
        (ScheduleFilter(queues=("rare",)), 10),
        (ScheduleFilter(labels=(("team", "rare"),)), 10),
        (ScheduleFilter(task_names=("rare",), queues=("rare",), labels=(("team", "rare"),)), 10),
        (ScheduleFilter(labels=(("team", "unknown"),)), 0),
        (ScheduleFilter(task_names=("task-7",)), 101),
        (ScheduleFilter(queues=("celery",)), 101),
        (ScheduleFilter(queues=("celery",), labels=(("team", "growth"),), paused=False), 101),
        (ScheduleFilter(task_names=("rare", "task-7")), 101),
        (ScheduleFilter(task_names=tuple(f"task-{number}" for number in range(20))), 101),
        (ScheduleFilter(task_names=("unknown", "rare"), queues=("celery", "rare")), 10),
        (ScheduleFilter(task_names=("task-7", "task-8"), queues=("celery", "rare")), 101),
        (ScheduleFilter(labels=(("team", "growth"), ("team", "rare"))), 0),
    ],
)
@pytest.mark.timeout(300)
async def test_a_page_of_a_list_touches_few_pages(
    million_url: str, wanted: ScheduleFilter, listed: int
) -> None:
    """However rare or common the task, the queue or the label is."""
    found, touched = await pages_of_list(million_url, wanted, "")
    assert found == listed
    assert touched < 2000, touched
    later, touched = await pages_of_list(million_url, wanted, "s-5")
    assert (later > 0) == (listed > 0) and touched < 2000, touched
