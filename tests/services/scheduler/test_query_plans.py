"""What runs again and again goes by indexes, however many schedules and runs there are."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace

import pytest

from services.kernel.database import Database
from services.kernel.pages import Place
from services.kernel.parameters import Parameters
from services.scheduler.backfill import store_backfills
from services.scheduler.catalogue.store_listing import (
    EVERY,
    EVERY_RUN,
    FEW,
    SETTINGS,
    RunFilter,
    ScheduleFilter,
    a_rare_facet,
    listing,
    listing_by_next_run,
    listing_runs,
    matches,
)
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch import store_batches, store_due, store_pending_log
from services.scheduler.runs import retention as store_retention
from services.scheduler.runs import store_losses, store_outcomes, store_waiting
from services.scheduler.schedule.definition import Definition, RunState, Task
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming
from services.scheduler.watch import store_changes
from tests.support.servers import create_migrated_database
from tests.support.sql import fetch, rows_read, scans

SCHEDULES, RUNS, RUNS_OF_ONE = 100_000, 200_000, 20_000
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
# Copies of one schedule, due over a day that begins when all tests are over, on a slow machine too; and a
# history in which nearly all has ended well. Its oldest part is of that one.
MANY_SCHEDULES = f"""
    INSERT INTO celery_schedules SELECT (jsonb_populate_record(s, jsonb_build_object(
        'id', 's-' || n, 'next_run_at', now() + interval '1 hour' + n * interval '1 second'))).*
    FROM celery_schedules s, generate_series(1, {SCHEDULES}) AS n WHERE s.id = 'one'
"""
MANY_RUNS = f"""
    WITH batches AS (
        INSERT INTO celery_schedule_batches (recorded_at, published_at)
        SELECT moment, moment
        FROM generate_series(1, {RUNS}) AS n, LATERAL (SELECT now() - n * interval '1 second' AS moment) AS at
        ORDER BY moment
        RETURNING id, recorded_at
    )
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, recorded_at, batch_id, outcome)
    SELECT CASE WHEN n <= {RUNS - RUNS_OF_ONE} THEN 's-' || n % {SCHEDULES} ELSE 'one' END, moment,
        'batched', 'due', moment, id,
        CASE n % 1000 WHEN 0 THEN NULL WHEN 500 THEN 'FAILURE' ELSE 'SUCCESS' END
    FROM generate_series(1, {RUNS}) AS n, LATERAL (SELECT now() - n * interval '1 second' AS moment) AS at
    JOIN batches ON recorded_at = moment
"""


async def fill(database: Database) -> None:
    timing = CrontabTiming(parse_crontab("0 3 * * *"), "UTC")
    async with database.transaction() as connection:
        await ScheduleStore(connection).create(Definition("one", Task("count"), timing), None)
        await connection.execute(MANY_SCHEDULES)
        await connection.execute(MANY_RUNS)
        due = "UPDATE celery_schedules SET next_run_at = now() WHERE id LIKE 's-5000%'"
        await connection.execute(due)


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def url(request: pytest.FixtureRequest, postgres_url: str) -> str:
    async def filled() -> str:
        url = await create_migrated_database(postgres_url)
        database = Database(url)
        try:
            await fill(database)
            if request.param == "with statistics":
                async with database.connection() as connection:
                    await connection.execute("VACUUM ANALYZE")
        finally:
            await database.close()
        return url

    return asyncio.run(filled())


LONG_AGO = NOW - dt.timedelta(days=400)
BY_LABEL, BY_TASK = ScheduleFilter(labels=(("team", "growth"),)), ScheduleFilter(task_names=("count",))
SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)
FAILED = ("FAILURE", "REJECTED", "REVOKED")
# Rare states and outcomes go by statistics, which a table has that was not filled a moment ago.
KNOWN = "ANALYZE celery_schedule_runs, celery_schedule_batches"


async def test_what_is_due_is_claimed_by_its_index(url: str) -> None:
    found = await scans(url, store_due.CLAIM, 1000, settings=store_batches.SETTINGS)
    assert 11 <= rows_read(found) <= 50


async def test_what_is_pending_is_found_by_its_index(url: str) -> None:
    found = await scans(url, store_batches.UNPUBLISHED, SECOND, 1000)
    assert rows_read(found) == 0
    found = await scans(url, store_batches.UNPUBLISHED_BUT_NOT, SECOND, 1000, [7, RUNS])
    assert rows_read(found) == 0
    found = await scans(url, store_batches.RUNS, [7, RUNS], settings=store_batches.SETTINGS)
    assert rows_read(found) <= 4
    assert rows_read(await scans(url, store_batches.PUBLISHED, [7, RUNS])) <= 4


async def test_what_waits_is_found_by_its_index(url: str) -> None:
    assert rows_read(await scans(url, store_waiting.WAITING, None, 200)) == 0
    found = await scans(url, store_waiting.LIVE, ["s-1", "s-2"], settings=store_batches.SETTINGS)
    assert rows_read(found) == 0


async def test_runs_that_are_open_are_found_by_their_index(url: str) -> None:
    bands = [1, 2], [0, 0], [SECOND, DAY]
    found = await scans(url, store_outcomes.OPEN, *bands, 500, settings=store_outcomes.SETTINGS)
    assert rows_read(found) <= 2 * (RUNS // 1000)
    for published in (NOW + 400 * DAY, None):
        values = 0, NOW + 400 * DAY, published, 500
        found = await scans(url, store_losses.UNHEARD, *values, settings=store_outcomes.SETTINGS)
        assert rows_read(found) <= 3 * (RUNS // 1000)
    assert rows_read(await scans(url, store_losses.ON_THE_WAY, NOW, settings=store_outcomes.SETTINGS)) <= 3


async def test_outcomes_are_recorded_by_the_key(url: str) -> None:
    values = ["s-7"], [NOW], ["SUCCESS"], [0.1], [None], [NOW]
    assert rows_read(await scans(url, store_outcomes.ENDED, *values)) <= 3


async def test_a_step_of_a_backfill_goes_by_indexes(url: str) -> None:
    due, settings = [NOW + number * SECOND for number in range(20)], store_batches.SETTINGS
    for query, values in (
        (store_backfills.READY, [100]),
        (store_backfills.READY_BUT_NOT, [100, ["s-1"]]),
        (store_backfills.SECONDS_TO_NEXT, []),
        (store_backfills.SECONDS_TO_NEXT_BUT_NOT, [["s-1"]]),
        (store_backfills.SCHEDULE, ["s-7"]),
        (store_backfills.BACKFILL, ["s-7", 200]),
        (store_backfills.ON_THE_WAY, ["s-7", due, "b"]),
        (store_backfills.THOSE_RUN_ALREADY, ["s-7", due]),
        (store_backfills.RECORD, ["s-7", due, "backfilled", False, "b", 1, b"n", 1, "ticket-1"]),
    ):
        assert rows_read(await scans(url, query, *values, settings=settings)) <= 100


async def runs_read(url: str, wanted: RunFilter, before: Place | None = None) -> tuple[int, float]:
    """How many runs a page of 50 finds, and the rows that are looked at for them."""
    query, values = listing_runs(wanted, before, 51)
    read = rows_read(await scans(url, query, *values, settings=KNOWN))
    return len(await fetch(url, query, *values)), read


async def test_a_page_of_runs_is_read_by_an_index(url: str) -> None:
    query, values = listing_runs(EVERY_RUN, None, 51)
    assert rows_read(await scans(url, query, *values)) <= 2 * 51
    query, values = listing_runs(RunFilter("s-7"), None, 51)
    assert rows_read(await scans(url, query, *values)) <= 10


@pytest.mark.parametrize("schedule", ["", "one"])
@pytest.mark.parametrize("outcomes", [(), ("SUCCESS",), ("FAILURE", "SUCCESS"), ("FAILURE",), FAILED])
async def test_runs_by_outcome_and_due_time_are_found_by_an_index(
    url: str, schedule: str, outcomes: tuple[str, ...]
) -> None:
    """However few of a schedule's runs failed, however long ago, and however many others did."""
    most = 2 * 51 + 10
    wanted = RunFilter(schedule, outcomes=frozenset(outcomes))
    failed = RUNS_OF_ONE // 1000 if schedule and "SUCCESS" not in outcomes else 51
    found, read = await runs_read(url, wanted)
    assert found == (failed if outcomes else 51) and read <= most
    # The oldest tenth is the one's.
    long_ago = dt.datetime.now(dt.UTC) - (RUNS - RUNS_OF_ONE // 2) * SECOND
    for part in (replace(wanted, end=long_ago), replace(wanted, start=long_ago - HOUR, end=long_ago)):
        found, read = await runs_read(url, part)
        assert found >= 3 and read <= most
    found, read = await runs_read(url, wanted, (long_ago, "one"))
    assert found >= 3 and read <= most


async def test_the_runs_of_one_that_failed_are_found_however_many_others_did(url: str) -> None:
    many_failed = "UPDATE celery_schedule_runs SET outcome = 'FAILURE' WHERE schedule_id LIKE 's-1%'"
    query, values = listing_runs(RunFilter("one", outcomes=frozenset(FAILED)), None, 51)
    # A tenth of all runs: they are passed over in the index.
    found = await scans(url, query, *values, settings=f"{many_failed}; {KNOWN}")
    assert 2 * RUNS_OF_ONE // 1000 <= rows_read(found) <= 3 * RUNS_OF_ONE // 1000


async def test_runs_that_failed_are_found_by_a_plan_that_is_kept_for_any_outcomes(url: str) -> None:
    query, _ = listing_runs(RunFilter(outcomes=frozenset(FAILED)), None, 51)
    kept = f"{KNOWN}; SET LOCAL plan_cache_mode = force_generic_plan; PREPARE page AS {query}"
    assert rows_read(await scans(url, "EXECUTE page ('{FAILURE}', 51)", settings=kept)) <= 2 * 51


async def test_runs_with_an_outcome_that_none_has_are_looked_for_among_those_that_failed(url: str) -> None:
    for schedule in ("", "one", "s-7"):
        found, read = await runs_read(url, RunFilter(schedule, outcomes=frozenset({"REJECTED"})))
        assert found == 0 and read <= RUNS // 1000


@pytest.mark.parametrize("wanted", [ScheduleFilter(), ScheduleFilter(task_names=("count",), paused=False)])
@pytest.mark.parametrize("after", [None, (NOW, "s-7")])
async def test_a_page_by_what_runs_next_is_read_by_an_index(
    url: str, wanted: ScheduleFilter, after: tuple[dt.datetime, str] | None
) -> None:
    query, values = listing_by_next_run(wanted, after, None, 51)
    # By statistics, as runs of a rare state.
    assert rows_read(await scans(url, query, *values, settings="ANALYZE celery_schedules")) <= 3 * 51


async def test_what_runs_next_of_a_rare_task_is_found_by_its_facet(url: str) -> None:
    common, rare = (
        ScheduleFilter(task_names=("count",)),
        ScheduleFilter(queues=("celery",), task_names=("rare",)),
    )
    for wanted, numbers in ((common, []), (rare, [0])):
        probe = a_rare_facet(wanted)
        assert probe is not None
        query, values = probe
        assert rows_read(await scans(url, query, *values)) <= FEW + 1 + 2
        assert [row["number"] for row in await fetch(url, query, *values)] == numbers
    query, values = listing_by_next_run(rare, None, 0, 51)
    assert rows_read(await scans(url, query, *values)) == 0
    assert a_rare_facet(ScheduleFilter(text="some")) is None


async def test_what_runs_next_of_several_tasks_is_found_by_their_facets_if_all_are_rare(url: str) -> None:
    rare = ScheduleFilter(queues=("celery", "other"), task_names=("rare", "rarer"))
    mixed = ScheduleFilter(queues=("celery", "other"), task_names=("rare", "count"))
    for wanted, numbers in ((mixed, []), (rare, [0])):
        probe = a_rare_facet(wanted)
        assert probe is not None
        query, values = probe
        assert rows_read(await scans(url, query, *values, settings=SETTINGS)) <= 2 * (FEW + 2)
        assert [row["number"] for row in await fetch(url, query, *values)] == numbers
    query, values = listing_by_next_run(rare, None, 0, 51)
    assert rows_read(await scans(url, query, *values)) == 0


async def test_a_page_of_schedules_of_several_tasks_and_queues_is_merged_from_their_facets(url: str) -> None:
    for wanted in (
        ScheduleFilter(task_names=("count", "rare")),
        ScheduleFilter(task_names=("count", "rare"), queues=("celery", "other")),
    ):
        query, values = listing(wanted, "s-5", 51)
        settings = "ANALYZE celery_schedules, celery_schedule_facets"
        assert rows_read(await scans(url, query, *values, settings=settings)) <= 5 * 51


@pytest.mark.parametrize("state", [RunState.SKIPPED, RunState.WAITING, RunState.LOST, RunState.PENDING])
async def test_runs_of_a_rare_state_are_found_by_an_index(url: str, state: RunState) -> None:
    for wanted in (
        RunFilter(states=frozenset({state})),
        RunFilter(states=frozenset({state}), start=NOW - DAY),
    ):
        _, read = await runs_read(url, wanted)
        assert read <= 2 * (RUNS // 1000)


async def test_runs_of_several_states_are_each_found_by_its_own_index(url: str) -> None:
    rare = frozenset({RunState.SKIPPED, RunState.LOST, RunState.PENDING})
    found, read = await runs_read(url, RunFilter(states=rare | {RunState.PUBLISHED}))
    assert found == 51 and read <= 4 * 51 + 2 * (RUNS // 1000) * len(rare)
    for schedule in ("", "one"):
        found, read = await runs_read(url, RunFilter(schedule, states=rare))
        assert found == 0 and read <= 2 * (RUNS // 1000) * len(rare)


async def test_old_runs_are_deleted_by_an_index(url: str) -> None:
    query = store_retention.OLD_RUNS.replace(":age", "$1").replace(":most", "$2")
    found = await scans(url, query, DAY, 2000, settings=store_outcomes.SETTINGS)
    assert rows_read(found) <= 3 * 2000


async def test_what_is_told_to_those_who_watch_is_found_by_indexes(url: str) -> None:
    for matching in (EVERY, BY_LABEL, BY_TASK):
        for names in (None, ["s-1000"]):
            query, values = store_changes.of_matching(store_changes.BATCHES, matching, [1000, 2000, 7], names)
            assert rows_read(await scans(url, query, *values)) <= 20
        query, values = store_changes.of_matching(store_changes.SIZES, matching, [1000, 7])
        assert rows_read(await scans(url, query, *values)) <= 10
    due = [NOW + number * SECOND for number in range(20)]
    assert rows_read(await scans(url, store_changes.RUNS, ["s-7"] * 20, due)) <= 60
    assert rows_read(await scans(url, store_changes.SCHEDULES, ["s-7", "s-8"])) <= 4
    assert rows_read(await scans(url, store_changes.UNPUBLISHED, [7, RUNS])) <= 2


async def test_what_matches_a_filter_is_found_by_keys(url: str) -> None:
    values = Parameters([["s-7", "s-8"]])
    query = store_changes.MATCHING.format(matches=matches(BY_LABEL, values))
    assert rows_read(await scans(url, query, *values)) <= 4
    values = Parameters([["3", "4"], [7, 8]])
    query = store_changes.FORMER.format(matches=matches(BY_LABEL, values))
    assert rows_read(await scans(url, query, *values)) <= 4


async def test_what_stays_pending_is_found_by_an_index(url: str) -> None:
    assert rows_read(await scans(url, store_pending_log.LATE, 0, SECOND, DAY, 1000)) == 0


async def test_what_is_trimmed_of_the_log_is_found_by_its_index(url: str) -> None:
    trim = store_changes.TRIM.replace(":age", "$1").replace(":most", "$2")
    found = await scans(url, trim, DAY, 2000)
    logs = [scan for scan in found if scan["Relation Name"] == "celery_schedule_changes"]
    assert rows_read(logs) == 0
