"""The facets by which schedules are listed follow their table, whoever writes to it and how."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import pytest

from services.kernel.database import Database, driver_url
from services.scheduler.catalogue.store_listing import ScheduleFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from tests.support.servers import create_migrated_database

COLUMNS = "id task args_json kwargs_json queue priority headers crontab time_zone description labels"
# What the table's rows say, and what is written of them.
WRONG = """
    (SELECT facet, id FROM celery_schedules, celery_schedule_facets_of(task, queue, labels) AS facet
     EXCEPT SELECT facet, schedule_id FROM celery_schedule_facets)
    UNION ALL
    (SELECT facet, schedule_id FROM celery_schedule_facets
     EXCEPT SELECT facet, id FROM celery_schedules, celery_schedule_facets_of(task, queue, labels) AS facet)
"""


@pytest.fixture(scope="module")
def url(postgres_url: str) -> str:
    return asyncio.run(create_migrated_database(postgres_url))


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(driver_url(url))
    await connection.execute("TRUNCATE celery_schedules, celery_schedule_runs")
    await copy(connection, range(50))
    yield connection
    await connection.close()


async def copy(connection: asyncpg.Connection[Any], numbers: Iterable[int]) -> None:
    names = [*COLUMNS.split(), "paused", "pause_note"]
    await connection.copy_records_to_table("celery_schedules", records=map(row, numbers), columns=names)


def row(number: int) -> tuple[Any, ...]:
    labels = '{"team": "growth", "tier": "gold"}' if number % 2 else "{}"
    task, queue = f"task-{number % 5}", f"queue-{number % 3}"
    timing = "0 3 * * *", "UTC"
    return (f"s-{number:02}", task, "[]", "{}", queue, 0, "{}", *timing, "", labels, False, "")


async def listed(url: str, wanted: ScheduleFilter, after: str = "", most: int = 100) -> list[str]:
    database = Database(url)
    try:
        async with database.reading() as connection:
            parts = ScheduleStore(connection).listed(wanted, after, most)
            return [row["id"] async for rows in parts for row in rows]
    finally:
        await database.close()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "UPDATE celery_schedules SET task = 'other' WHERE id < 's-20'",
        "UPDATE celery_schedules SET queue = 'other', labels = '{\"n\": 1, \"m\": null}' WHERE id > 's-2'",
        "UPDATE celery_schedules SET labels = '[\"broken\"]'",
        "UPDATE celery_schedules SET id = 'x' || id",
        "UPDATE celery_schedules SET next_run_at = now(), run_count = 7",
        "UPDATE celery_schedules SET task = repeat('long', 10000), queue = repeat('longer', 10000)",
        "DELETE FROM celery_schedules WHERE id < 's-30'",
        "TRUNCATE celery_schedules, celery_schedule_runs",
    ],
)
async def test_facets_are_those_of_the_rows(connection: asyncpg.Connection[Any], statement: str) -> None:
    await connection.execute(statement)
    assert await connection.fetch(WRONG) == []
    filled = await connection.fetchval("SELECT count(*) > 0 FROM celery_schedule_facets")
    assert filled != statement.startswith("TRUNCATE")


@pytest.mark.parametrize("left_behind", [[], ["s-70", "s-2999"]], ids=["none", "some"])
async def test_facets_of_many_rows_at_once_are_theirs_whatever_was_left_behind(
    connection: asyncpg.Connection[Any], left_behind: list[str]
) -> None:
    await connection.execute(
        "INSERT INTO celery_schedule_facets SELECT"
        " celery_schedule_facet('queue', 'queue-' || split_part(id, '-', 2)::int % 3), id"
        " FROM unnest($1::text[]) AS id",
        left_behind,
    )
    await copy(connection, range(50, 3000))
    assert await connection.fetch(WRONG) == []
    whole = (
        "SELECT count(*) FROM celery_schedule_facets WHERE facet = celery_schedule_facet('task', 'task-1')"
    )
    assert await connection.fetchval(whole) == 600


async def test_a_list_of_a_facet_goes_on_page_by_page(url: str, connection: asyncpg.Connection[Any]) -> None:
    wanted = ScheduleFilter(task_names=("task-1",), labels=(("team", "growth"),))
    whole = [f"s-{number:02}" for number in range(50) if number % 5 == 1 and number % 2]
    assert await listed(url, wanted) == whole
    paged: list[str] = []
    while page := await listed(url, wanted, paged[-1] if paged else "", 2):
        paged += page
    assert paged == whole
    assert await listed(url, ScheduleFilter(queues=("queue-2",), task_names=("task-1",), paused=True)) == []
    assert await listed(url, ScheduleFilter(queues=("queue-2",), text="S-05")) == ["s-05"]


async def test_a_text_is_found_in_any_case_of_any_alphabet(
    url: str, connection: asyncpg.Connection[Any]
) -> None:
    await connection.execute("UPDATE celery_schedules SET description = 'Neue Ärmel' WHERE id = 's-07'")
    for text in ("neue ä", "ÄRMEL", "Ärmel"):
        assert await listed(url, ScheduleFilter(text=text)) == ["s-07"]


async def test_a_collision_of_facets_lists_nothing_else(
    url: str, connection: asyncpg.Connection[Any]
) -> None:
    """A facet is a hash: what has it by chance is not of the task."""
    facet = "celery_schedule_facet('task', 'task-1')"
    await connection.execute(f"INSERT INTO celery_schedule_facets VALUES ({facet}, 's-00')")
    assert (await listed(url, ScheduleFilter(task_names=("task-1",))))[0] == "s-01"
