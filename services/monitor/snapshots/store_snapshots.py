"""The SQL of snapshots: readings, the series that they are of, and blocks of their values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.kernel.database import Connection
from services.monitor.snapshots.steps import Step

KNOWN_SERIES = """
    SELECT measure, subject, id FROM celery_monitoring_series
    WHERE (measure, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""
# Whoever makes the same name at the same time waits for the other, and finds it then.
MAKE_SERIES = """
    INSERT INTO celery_monitoring_series (measure, subject) SELECT * FROM unnest($1::text[], $2::text[])
    ON CONFLICT (measure, subject) DO NOTHING
"""
PUT_READING = """
    INSERT INTO celery_monitoring_readings (taken_at, points) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
OLDEST_READING = "SELECT min(taken_at) FROM celery_monitoring_readings"
# What one transaction takes, no other has.
TAKE_READINGS = """
    DELETE FROM celery_monitoring_readings WHERE taken_at >= $1 AND taken_at < $2 RETURNING taken_at, points
"""
LOCKED_BLOCKS = """
    SELECT series, points FROM celery_monitoring_snapshots
    WHERE series = ANY($1::integer[]) AND step = $2 AND began_at = $3 FOR UPDATE
"""
PUT_BLOCKS = """
    INSERT INTO celery_monitoring_snapshots (series, step, began_at, mean, points)
    SELECT series, $1, $2, mean, points
    FROM unnest($3::integer[], $4::real[], $5::bytea[]) AS given (series, mean, points)
    ON CONFLICT (series, step, began_at) DO UPDATE SET mean = excluded.mean, points = excluded.points
"""
OLDEST_BLOCK = "SELECT min(began_at) FROM celery_monitoring_snapshots WHERE step = $1"
TAKE_BLOCKS = """
    DELETE FROM celery_monitoring_snapshots
    WHERE step = $1 AND began_at >= $2 AND began_at < $3 AND series IN (
        SELECT DISTINCT series FROM celery_monitoring_snapshots
        WHERE step = $1 AND began_at >= $2 AND began_at < $3 ORDER BY series LIMIT $4)
    RETURNING series, began_at, points
"""
DROP_BLOCKS = "DELETE FROM celery_monitoring_snapshots WHERE step = $1 AND began_at < $2"
# A series is new until its first values are in a block, at the end of the hour.
FORGET_SERIES = """
    DELETE FROM celery_monitoring_series WHERE created_at < clock_timestamp() - interval '2 days'
        AND NOT EXISTS (SELECT FROM celery_monitoring_snapshots WHERE series = celery_monitoring_series.id)
"""
DISK_BYTES = """
    SELECT pg_total_relation_size('celery_monitoring_snapshots')
        + pg_total_relation_size('celery_monitoring_readings')
        + pg_total_relation_size('celery_monitoring_series')
"""
# With what a row takes beside, in the table and its two indexes. Room of deleted rows is used again.
ROW_BYTES = 120
USED_BYTES = f"SELECT coalesce(sum(pg_column_size(points) + {ROW_BYTES}), 0) FROM celery_monitoring_snapshots"


class Name(NamedTuple):
    """A series: a measure, and its subject."""

    measure: str
    subject: str


class StoredBlock(NamedTuple):
    series: int
    began_at: dt.datetime
    points: bytes


class SnapshotStore:
    """Writes and thins, over one connection. What takes rows has to be in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def series(self, names: Sequence[Name]) -> Mapping[Name, int]:
        """Returns the number of each series, which is made if there is none."""
        known = await self._known(names)
        missing = sorted(name for name in names if name not in known)
        if missing:
            await self._connection.execute(MAKE_SERIES, *map(list, zip(*missing, strict=True)))
            known |= await self._known(missing)
        return known

    async def _known(self, names: Sequence[Name]) -> dict[Name, int]:
        given = [each.measure for each in names], [each.subject for each in names]
        return {Name(row[0], row[1]): row[2] for row in await self._connection.fetch(KNOWN_SERIES, *given)}

    async def put_reading(self, taken_at: dt.datetime, points: bytes) -> None:
        """Adds a reading, if there is none of that time."""
        await self._connection.execute(PUT_READING, taken_at, points)

    async def oldest_reading(self) -> dt.datetime | None:
        found: dt.datetime | None = await self._connection.fetchval(OLDEST_READING)
        return found

    async def take_readings(
        self, since: dt.datetime, until: dt.datetime
    ) -> Sequence[tuple[dt.datetime, bytes]]:
        return [(row[0], row[1]) for row in await self._connection.fetch(TAKE_READINGS, since, until)]

    async def blocks(self, series: Sequence[int], step: Step, began_at: dt.datetime) -> Mapping[int, bytes]:
        """Returns the blocks that there are, and locks them."""
        rows = await self._connection.fetch(LOCKED_BLOCKS, series, step.seconds, began_at)
        return {row[0]: row[1] for row in rows}

    async def put_blocks(
        self, step: Step, began_at: dt.datetime, blocks: Mapping[int, tuple[float, bytes]]
    ) -> None:
        """`blocks`: the mean and the packed values by series; one that is there already is replaced."""
        series = sorted(blocks)
        means, points = [blocks[each][0] for each in series], [blocks[each][1] for each in series]
        await self._connection.execute(PUT_BLOCKS, step.seconds, began_at, series, means, points)

    async def oldest_block(self, step: Step) -> dt.datetime | None:
        found: dt.datetime | None = await self._connection.fetchval(OLDEST_BLOCK, step.seconds)
        return found

    async def take_blocks(
        self, step: Step, since: dt.datetime, until: dt.datetime, most_series: int
    ) -> Sequence[StoredBlock]:
        """Takes the blocks of a time out, of so many series at most."""
        rows = await self._connection.fetch(TAKE_BLOCKS, step.seconds, since, until, most_series)
        return [StoredBlock(*row) for row in rows]

    async def drop_blocks(self, step: Step, until: dt.datetime) -> int:
        """Deletes the blocks that begin before the time. Returns how many."""
        return _count(await self._connection.execute(DROP_BLOCKS, step.seconds, until))

    async def forget_series(self) -> int:
        """Deletes the series of which nothing is kept. Returns how many."""
        return _count(await self._connection.execute(FORGET_SERIES))

    async def disk_bytes(self) -> int:
        """Returns what the tables take on the disk, with room that is free for new rows."""
        return int(await self._connection.fetchval(DISK_BYTES))

    async def used_bytes(self) -> int:
        """Returns what the rows take, about."""
        return int(await self._connection.fetchval(USED_BYTES))


def _count(status: str) -> int:
    """Returns 12 for "DELETE 12"."""
    return int(status.rpartition(" ")[2])
