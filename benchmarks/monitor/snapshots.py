"""What a day and a year of snapshots take, and charts of them: python -m benchmarks.monitor.snapshots

At 20 queues, 50 names of tasks and 10 workers. A day is added reading by reading; a year is a day's blocks,
repeated. Prints one line of JSON: bytes on the disk with indexes and TOAST, of a day that was never vacuumed,
and of one that was vacuumed at the end of each hour, as autovacuum does; and milliseconds of charts: the
median, the longest, and CPU of this process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from benchmarks.servers import temporary_postgres
from services.kernel.database import Database
from services.monitor.snapshots.charts import Charts, Range
from services.monitor.snapshots.snapshots import Snapshots
from services.monitor.snapshots.steps import FINEST, HOUR, MINUTE
from tests.support.readings import Readings, Size
from tests.support.servers import create_migrated_database, make_template

SIZE = Size(queues=20, names=50, workers=10)
# With which blocks of each step begin.
START = dt.datetime(2026, 2, 26, tzinfo=dt.UTC)
DAY, SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)
TABLES = ("celery_monitoring_snapshots", "celery_monitoring_readings", "celery_monitoring_series")
ROUNDS = 20
# Copies the blocks of a step to so many times before.
REPEAT = """
    INSERT INTO celery_monitoring_snapshots (series, step, began_at, mean, points)
    SELECT series, step, began_at - n * $2::interval, mean, points
    FROM celery_monitoring_snapshots, generate_series(1, $3) AS n WHERE step = $1
    ON CONFLICT DO NOTHING
"""


async def bytes_of(database: Database) -> int:
    async with database.connection() as connection:
        return sum([await connection.fetchval("SELECT pg_total_relation_size($1)", name) for name in TABLES])


async def add_day(database: Database, readings: Readings, *, vacuumed: bool) -> float:
    """Returns milliseconds of CPU of this process for one reading."""
    snapshots, spent = Snapshots(database, lambda: True, 2**30), 0.0
    for number in range(24 * 360 + 1):
        reading = readings.at(START + number * 10 * SECOND)
        began = time.process_time()
        await snapshots.take(reading)
        await snapshots.add_all()
        spent += time.process_time() - began
        if vacuumed and number % 360 == 1:
            async with database.connection() as connection:
                for name in TABLES:
                    await connection.execute(f"VACUUM {name}")
    return 1e3 * spent / number


async def add_year(database: Database) -> None:
    """The day before becomes minutes and hours, and is repeated."""
    snapshots = Snapshots(database, lambda: True, 2**40)
    async with database.connection() as connection:
        await connection.execute(REPEAT, FINEST.seconds, DAY, 5)
        for _ in range(5 * 4):
            await snapshots.upkeep(START + DAY)
        await connection.execute(REPEAT, MINUTE.seconds, 5 * DAY, 7)
        for _ in range(3):
            await snapshots.upkeep(START + DAY)
        await connection.execute(REPEAT, HOUR.seconds, 5 * DAY, 66)
        await connection.execute("VACUUM ANALYZE celery_monitoring_snapshots")


async def timed(ask: Callable[[], Awaitable[object]]) -> dict[str, float]:
    spent, cpu = [], time.process_time()
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        spent.append(1e3 * (time.perf_counter() - began))
    figures = statistics.median(spent), max(spent), 1e3 * (time.process_time() - cpu) / ROUNDS
    return dict(zip(("median", "longest", "cpu"), (round(each, 1) for each in figures), strict=True))


async def charts_of(database: Database) -> dict[str, dict[str, float]]:
    charts, now = Charts(database), START + DAY
    found = {}
    for days, points in ((365, 300), (365, 2_000), (30, 300), (1, 300)):
        within = Range(now - days * DAY, now)
        for measure in ("waiting_messages", "queue_length"):
            found[f"{measure}, {days} days, {points} points"] = await timed(
                lambda: charts.chart([measure], [], within, points, now)  # noqa: B023
            )
    return found


async def measured(url: str) -> dict[str, object]:
    await make_template(url)
    readings = Readings(SIZE)
    found: dict[str, object] = {"series": len(readings)}
    for vacuumed in (False, True):
        database = Database(await create_migrated_database(url))
        cpu = await add_day(database, readings, vacuumed=vacuumed)
        found[f"day_bytes_{'vacuumed' if vacuumed else 'never_vacuumed'}"] = await bytes_of(database)
        found["reading_cpu_ms"] = round(cpu, 2)
        if vacuumed:
            await add_year(database)
            found["year_bytes"] = await bytes_of(database)
            async with database.connection() as connection:
                rows = await connection.fetch(
                    "SELECT step, count(*) FROM celery_monitoring_snapshots GROUP BY step ORDER BY step"
                )
            found["year_rows"] = {row[0]: row[1] for row in rows}
            found["charts"] = await charts_of(database)
        await database.close()
    return found


def main() -> None:
    with temporary_postgres() as url:
        print(json.dumps(asyncio.run(measured(url))))


if __name__ == "__main__":
    main()
