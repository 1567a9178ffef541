"""The SQL that reads snapshots: for charts, and for the list of snapshots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.kernel.database import Connection
from services.monitor.snapshots.steps import STEPS, Step
from services.monitor.snapshots.store_snapshots import Name

# Of more series, the newest ones are looked at: names come and go.
MOST_CANDIDATES = 2_000
SERIES = """
    SELECT id, measure, subject FROM celery_monitoring_series
    WHERE measure = ANY($1::text[]) AND (cardinality($2::text[]) = 0 OR subject = ANY($2::text[]))
    ORDER BY id DESC LIMIT $3
"""
READINGS = """
    SELECT taken_at, points FROM celery_monitoring_readings
    WHERE taken_at >= $1 AND taken_at < $2 ORDER BY taken_at
"""
# One lookup for each series and step: a block that begins before the range may reach into it.
IN_RANGE = """
    unnest($1::integer[]) AS wanted (id)
    CROSS JOIN unnest($2::integer[], $3::timestamptz[]) AS steps (step, since)
    CROSS JOIN LATERAL (
        SELECT step, began_at, mean, points FROM celery_monitoring_snapshots
        WHERE series = wanted.id AND celery_monitoring_snapshots.step = steps.step
            AND began_at > since AND began_at < $4
    ) AS found
"""
PARTS = f"SELECT wanted.id, found.step, found.began_at, found.points FROM {IN_RANGE}"
MEANS = f"SELECT wanted.id, avg(found.mean) FROM {IN_RANGE} GROUP BY wanted.id"
# The newest beginning of blocks of one step, before a time.
NEWEST = """
    SELECT max(began_at) FROM celery_monitoring_snapshots WHERE step = $1 AND began_at < $2
"""


class Part(NamedTuple):
    """A block of a series. `step` in seconds."""

    series: int
    step: int
    began_at: dt.datetime
    points: bytes


class ChartStore:
    """Reads, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def series(self, measures: Sequence[str], subjects: Sequence[str] = ()) -> Mapping[int, Name]:
        """Returns the series of the measures by number; of the subjects, or of all."""
        rows = await self._connection.fetch(SERIES, list(measures), list(subjects), MOST_CANDIDATES)
        return {row[0]: Name(row[1], row[2]) for row in rows}

    async def readings(self, start: dt.datetime, end: dt.datetime) -> Sequence[tuple[dt.datetime, bytes]]:
        """Returns the readings that are in no blocks yet, by time."""
        return [(row[0], row[1]) for row in await self._connection.fetch(READINGS, start, end)]

    async def parts(self, series: Sequence[int], start: dt.datetime, end: dt.datetime) -> Sequence[Part]:
        """Returns the blocks of the series that have a part of the range."""
        return [Part(*row) for row in await self._connection.fetch(PARTS, *_in_range(series, start, end))]

    async def means(
        self, series: Sequence[int], start: dt.datetime, end: dt.datetime
    ) -> Sequence[tuple[int, float]]:
        """Returns the series that have blocks in the range, each with the mean of their means."""
        rows = await self._connection.fetch(MEANS, *_in_range(series, start, end))
        return [(row[0], row[1]) for row in rows]

    async def newest_block(self, step: Step, before: dt.datetime) -> dt.datetime | None:
        """Returns the beginning of the newest blocks that begin before the time."""
        found: dt.datetime | None = await self._connection.fetchval(NEWEST, step.seconds, before)
        return found


def _in_range(
    series: Sequence[int], start: dt.datetime, end: dt.datetime
) -> tuple[Sequence[int], Sequence[int], Sequence[dt.datetime], dt.datetime]:
    return series, [step.seconds for step in STEPS], [start - step.span for step in STEPS], end
