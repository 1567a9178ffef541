"""Readings are kept, thinned as they age, and found again, in a real database."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from services.kernel.database import Database
from services.monitor.measuring.measures import Reading
from services.monitor.snapshots.charts import Charts, Point, Range
from services.monitor.snapshots.listing import SnapshotList
from services.monitor.snapshots.packing import nothing, pack_block
from services.monitor.snapshots.snapshots import Snapshots
from services.monitor.snapshots.steps import FINEST, HOUR, MINUTE, STEPS, Step
from services.monitor.snapshots.store_charts import PARTS
from services.monitor.snapshots.store_snapshots import Name, SnapshotStore
from tests.support.processes import as_its_role
from tests.support.sql import fetch, rows_read, scans

# With which blocks of each step begin.
START = dt.datetime(2026, 2, 26, tzinfo=dt.UTC)
SECOND, MINUTE_LONG, HOUR_LONG, DAY = (dt.timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86_400))
PLENTY = 2**30


@pytest.fixture
async def database(own_database_url: str) -> AsyncIterator[Database]:
    """As the monitor's own role."""
    own = await asyncio.to_thread(as_its_role, "monitor", {"DATABASE_URL": own_database_url})
    database = Database(own["DATABASE_URL"])
    yield database
    await database.close()


def reading(at: dt.datetime, **values: float | Mapping[str, float]) -> Reading:
    return Reading(
        at, {name: {"": each} if isinstance(each, float) else each for name, each in values.items()}
    )


def snapshots_of(database: Database, most_bytes: int = PLENTY) -> Snapshots:
    return Snapshots(database, lambda: True, most_bytes)


async def add(snapshots: Snapshots, *readings: Reading) -> None:
    for each in readings:
        await snapshots.take(each)
        await snapshots.add_all()


async def put(
    database: Database, step: Step, since: dt.datetime, until: dt.datetime, value: Callable[[int], float]
) -> None:
    """Fills blocks with a value for each hour since `START`."""
    async with database.transaction() as connection:
        store = SnapshotStore(connection)
        series = await store.series([Name("waiting_messages", "")])
        began_at = since
        while began_at < until:
            block = nothing(step.points)
            for place in range(step.points):
                at = began_at + place * step.seconds * SECOND
                if at < until:
                    block[place] = value((at - START) // HOUR_LONG)
            await store.put_blocks(
                step,
                began_at,
                {number: (value(0), pack_block([block] * step.rows)) for number in series.values()},
            )
            began_at += step.span


async def points(
    database: Database, since: dt.datetime, until: dt.datetime, now: dt.datetime, most: int = 2_000
) -> list[Point]:
    chart = await Charts(database).chart(["waiting_messages"], [], Range(since, until), most, now)
    return list(chart.series[0].points) if chart.series else []


async def blocks(database: Database) -> Mapping[int, int]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT step, count(*) FROM celery_monitoring_snapshots GROUP BY step")
    return {row[0]: row[1] for row in rows}


async def test_readings_are_found_at_once_and_after_their_hour(database: Database) -> None:
    snapshots = snapshots_of(database)
    await add(snapshots, *(reading(START + n * 10 * SECOND, waiting_messages=float(n)) for n in range(6)))
    for _ in range(2):
        found = await points(database, START, START + HOUR_LONG, START + HOUR_LONG)
        assert [point.mean for point in found] == [0, 1, 2, 3, 4, 5]
        assert found[3].time == START + 30 * SECOND
        await add(snapshots, reading(START + HOUR_LONG, online_workers=1.0))
    assert await blocks(database) == {FINEST.seconds: 1}


async def test_only_the_first_reading_of_a_step_counts(database: Database) -> None:
    snapshots = snapshots_of(database)
    await add(snapshots, *(reading(START + n * SECOND, waiting_messages=float(n)) for n in range(12)))
    found = await points(database, START, START + HOUR_LONG, START)
    assert [(point.time, point.mean) for point in found] == [(START, 0), (START + 10 * SECOND, 10)]


async def test_a_monitor_that_does_not_write_adds_nothing(database: Database) -> None:
    snapshots = Snapshots(database, lambda: False, PLENTY)
    await add(snapshots, reading(START, waiting_messages=3.0))
    assert await points(database, START, START + HOUR_LONG, START) == []


async def test_what_is_not_kept_or_has_no_number_is_left_out(database: Database) -> None:
    snapshots = snapshots_of(database)
    values = {"inf": math.inf, "nan": math.nan, "good": 2.0}
    await add(snapshots, reading(START, memory_total_bytes=1.0, queue_length=values, no_measure=1.0))
    chart = await Charts(database).chart(
        ["queue_length", "memory_total_bytes"], [], Range(START, START + HOUR_LONG), 10, START
    )
    assert [(each.name, [point.mean for point in each.points]) for each in chart.series] == [
        (Name("queue_length", "good"), [2.0])
    ]


async def test_of_more_queues_the_longest_are_kept(database: Database) -> None:
    snapshots = snapshots_of(database)
    queues = {f"q{number:03}": float(number) for number in range(250)}
    await add(snapshots, reading(START, queue_length=queues))
    # Those that are kept stay for the hour, whatever becomes of them.
    await add(snapshots, reading(START + 10 * SECOND, queue_length={**queues, "q000": 1e6, "q249": 0.0}))
    charts, within = Charts(database), Range(START, START + HOUR_LONG)
    chart = await charts.chart(["queue_length"], [], within, 300, START)
    assert len(chart.series) == 50 and chart.left_out == 150
    assert chart.series[0].name.subject == "q248"
    [shortest] = (await charts.chart(["queue_length"], ["q050", "q000"], within, 2_000, START)).series
    assert [point.mean for point in shortest.points] == [50, 50]
    [longest] = (await charts.chart(["queue_length"], ["q249"], within, 2_000, START)).series
    assert [point.mean for point in longest.points] == [249, 0]


async def test_snapshots_become_coarser_step_by_step(database: Database) -> None:
    """A hundred days, each hour by itself, and then the next two years."""
    snapshots, hours = snapshots_of(database), 100 * 24
    for hour in range(hours):
        at = START + hour * HOUR_LONG
        await put(database, FINEST, at, at + HOUR_LONG, float)
        await snapshots.upkeep(at + HOUR_LONG)
    now = START + hours * HOUR_LONG
    found = await blocks(database)
    assert 24 <= found[FINEST.seconds] <= 30
    assert 29 * 4 <= found[MINUTE.seconds] <= 35 * 4
    assert sum((found[step.seconds] * step.span for step in STEPS), dt.timedelta()) == 100 * DAY
    for since, step in ((START, HOUR), (now - 20 * DAY, MINUTE), (now - 20 * HOUR_LONG, FINEST)):
        until = since + 5 * HOUR_LONG
        told = await points(database, since, until, now)
        assert [(point.time - since) // (step.seconds * SECOND) for point in told[:3]] == [0, 1, 2]
        assert len(told) == 5 * 3600 // step.seconds
        first = (since - START) // HOUR_LONG
        assert {(point.mean, point.least, point.greatest) for point in told} == {
            (float(hour),) * 3 for hour in range(first, first + 5)
        }
    whole = await points(database, START, now, now, 300)
    assert len(whole) == 200 and whole[0].mean == pytest.approx(5.5) and whole[-1].greatest == hours - 1
    for hour in range(0, 400 * 24, 12):
        await snapshots.upkeep(now + hour * HOUR_LONG)
    assert await blocks(database) == {}
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM celery_monitoring_series") == 1


async def test_series_of_which_nothing_is_left_are_forgotten(
    database: Database, own_database_url: str
) -> None:
    await put(database, HOUR, START, START + DAY, float)
    await fetch(
        own_database_url, "UPDATE celery_monitoring_series SET created_at = now() - interval '3 days'"
    )
    await snapshots_of(database).upkeep(START + 371 * DAY)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM celery_monitoring_series") == 0


async def test_a_clock_that_is_far_ahead_for_a_while_thins_little(database: Database) -> None:
    await put(database, FINEST, START, START + DAY, float)
    snapshots = snapshots_of(database)
    await add(snapshots, reading(START + DAY, waiting_messages=1.0))
    await add(snapshots, reading(START + 500 * DAY, waiting_messages=2.0))
    await add(snapshots, reading(START + DAY + 10 * SECOND, waiting_messages=3.0))
    found = await blocks(database)
    assert found == {FINEST.seconds: 24 - 6 + 1, MINUTE.seconds: 1}
    told = await points(database, START + DAY, START + DAY + HOUR_LONG, START + DAY)
    assert [point.mean for point in told] == [1.0, 3.0]


async def test_a_clock_that_is_set_back_changes_nothing_that_is_known(database: Database) -> None:
    snapshots, at = snapshots_of(database), [START + n * 10 * SECOND for n in (0, 1, 360, 0, 2, 360)]
    for number, moment in enumerate(at):
        await add(snapshots, reading(moment, waiting_messages=float(number)))
    await snapshots.upkeep(START + 2 * HOUR_LONG)
    told = await points(database, START, START + 2 * HOUR_LONG, START)
    assert [(point.time - START) // (10 * SECOND) for point in told] == [0, 1, 2, 360]
    assert [point.mean for point in told] == [0.0, 1.0, 4.0, 2.0]


async def test_monitors_that_write_one_after_the_other_go_on_where_the_other_was(database: Database) -> None:
    one, other = snapshots_of(database), snapshots_of(database)
    for number in range(720):
        await add(
            one if number % 200 < 100 else other,
            reading(START + number * 10 * SECOND, waiting_messages=float(number), queue_length={"a": 1.0}),
        )
    # For a moment both believe that they write.
    await asyncio.gather(
        *(add(each, reading(START + 2 * HOUR_LONG, waiting_messages=720.0)) for each in (one, other))
    )
    told = await points(database, START, START + 3 * HOUR_LONG, START)
    assert [point.mean for point in told] == list(range(721))
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM celery_monitoring_readings") == 1


async def test_readings_wait_for_a_database_that_is_away(own_database_url: str) -> None:
    snapshots = snapshots_of(Database("postgresql://nobody@127.0.0.1:1/none"))
    for number in range(100):
        await snapshots.take(reading(START + number * 10 * SECOND, waiting_messages=float(number)))
        if number % 50 == 0:
            with pytest.raises(ConnectionError):
                await snapshots.add_all()
    back = Database(own_database_url)
    snapshots._database = back
    await snapshots.add_all()
    told = await points(back, START, START + HOUR_LONG, START)
    assert [point.mean for point in told] == list(range(40, 100))
    await back.close()


async def test_the_oldest_give_way_when_there_is_no_room(database: Database) -> None:
    await put(database, HOUR, START - 100 * DAY, START, lambda hour: hour * math.pi)
    await put(database, FINEST, START, START + DAY, lambda hour: hour * math.pi)
    for _ in range(3):
        await snapshots_of(database, most_bytes=2_000).upkeep(START + DAY)
    found = await blocks(database)
    assert HOUR.seconds not in found and 0 < found[FINEST.seconds] < 24
    told = await points(database, START, START + DAY, START + DAY)
    assert told[-1].time >= START + DAY - 2 * HOUR_LONG


async def test_snapshots_are_listed_newest_first_over_all_steps(database: Database) -> None:
    snapshots = snapshots_of(database)
    await put(database, HOUR, START, START + 5 * DAY, float)
    await put(database, MINUTE, START + 5 * DAY, START + 5 * DAY + 6 * HOUR_LONG, float)
    now = START + 5 * DAY + 6 * HOUR_LONG
    await add(snapshots, *(reading(now + n * 10 * SECOND, waiting_messages=1.0) for n in range(3)))
    listing, everything = SnapshotList(database), Range(START, START + 10 * DAY)
    found = await listing.list(STEPS, everything, 1_000)
    assert [each.step for each in found] == [FINEST] * 3 + [MINUTE] * 360 + [HOUR] * 120
    assert [each.time for each in found] == sorted((each.time for each in found), reverse=True)
    assert found[0].figures["waiting_messages"].mean == 1.0 and found[-1].time == START
    within = Range(START + DAY, START + 2 * DAY)
    assert len(await listing.list(STEPS, within, 1_000)) == 24
    assert await listing.list([MINUTE], within, 1_000) == []
    assert [each.time for each in await listing.list([MINUTE], everything, 2)] == [
        now - MINUTE_LONG,
        now - 2 * MINUTE_LONG,
    ]


async def test_a_series_is_found_by_its_index_among_all_others(own_database_url: str) -> None:
    await fetch(
        own_database_url,
        """
        INSERT INTO celery_monitoring_snapshots
        SELECT series, step, $1::timestamptz - n * make_interval(secs => step * points), 1, 'x'
        FROM generate_series(1, 400) AS series, generate_series(1, 30) AS n,
            (VALUES (10, 360), (60, 360), (3600, 120)) AS steps (step, points)
        """,
        START,
    )
    steps = [step.seconds for step in STEPS]
    for settings in ("SELECT 1", "SET LOCAL plan_cache_mode = force_generic_plan"):
        found = await scans(
            own_database_url, PARTS, [7], steps, [START - 400 * DAY] * 3, START, settings=settings
        )
        assert rows_read(found) == 3 * 30
