"""Series of measures for charts: the steps of an answer, and their values from blocks of all steps."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.kernel.database import Database
from services.monitor.snapshots import packing
from services.monitor.snapshots.packing import Block
from services.monitor.snapshots.steps import EPOCH, FINEST, HOUR, MINUTE, STEPS, Step
from services.monitor.snapshots.store_charts import ChartStore, Part
from services.monitor.snapshots.store_snapshots import Name

# Series of one answer, and points of all of them together: an answer stays below 4 MB, the most that a gRPC
# client takes unless it was told otherwise.
MOST_SERIES, MOST_POINTS = 50, 20_000
# Charts that are read, and that are made, at the same time.
AT_ONCE = 2
# The steps that an answer may have, in seconds; beyond them, a number of days.
DAY = 86_400
ROUND = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY)

# Readings that are in no block yet, by time: values by series.
Newest: TypeAlias = Sequence[tuple[dt.datetime, Mapping[int, float]]]


@dataclass(frozen=True, slots=True)
class Point:
    """The mean of a step, its least and its greatest value. `time`: when the step began."""

    time: dt.datetime
    mean: float
    least: float
    greatest: float


@dataclass(frozen=True, slots=True)
class Series:
    """`points`: without those steps of which nothing is known."""

    name: Name
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """`left_out`: how many series are not in it."""

    step: dt.timedelta
    series: Sequence[Series]
    left_out: int


@dataclass(frozen=True, slots=True)
class Range:
    """The times from `start` up to `end`, without the latter."""

    start: dt.datetime
    end: dt.datetime


class Charts:
    """Reads what snapshots keep."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # A chart may take a fifth of a second of CPU, and a connection: others wait for their turn.
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def chart(
        self,
        measures: Sequence[str],
        subjects: Sequence[str],
        within: Range,
        points: int,
        now: dt.datetime,
    ) -> Chart:
        """Returns the series of the measures, the largest first; of the subjects, or of all if that is empty.

        `points`: of each series at most (2 or more), with the bound of an answer. Raises the database's
        errors.
        """
        async with self._turn, self._database.reading() as connection:
            store = ChartStore(connection)
            newest = await _newest(store, within)
            known = await store.series(measures, subjects)
            chosen, left_out = await _chosen(store, known, within, newest)
            parts = await store.parts(list(chosen), within.start, within.end)
            seconds = step_of(within, min(points, MOST_POINTS // max(1, len(chosen))), now)
        async with self._turn:
            series = await asyncio.to_thread(_series, chosen, parts, newest, within, seconds)
        told = sorted((each for each in series if each.points), key=_largest_first)
        return Chart(dt.timedelta(seconds=seconds), told, left_out)


async def _newest(store: ChartStore, within: Range) -> Newest:
    readings = await store.readings(within.start, within.end)
    return [(at, packing.unpack_reading(packed)) for at, packed in readings]


async def _chosen(
    store: ChartStore, known: Mapping[int, Name], within: Range, newest: Newest
) -> tuple[Mapping[int, Name], int]:
    """Returns at most MOST_SERIES of the series, those with the largest means, and how many others have
    values in the range."""
    if len(known) <= MOST_SERIES:
        return known, 0
    means = dict(await store.means(list(known), within.start, within.end))
    for _, values in newest[-1:]:
        for series in known.keys() & values.keys():
            means[series] = max(means.get(series, -math.inf), values[series])
    largest = sorted(means, key=lambda each: (-means[each], known[each]))[:MOST_SERIES]
    return {series: known[series] for series in largest}, len(means) - len(largest)


def _largest_first(series: Series) -> tuple[float, Name]:
    return -sum(point.mean for point in series.points) / len(series.points), series.name


def step_of(within: Range, points: int, now: dt.datetime) -> int:
    """Returns the seconds of an answer's steps: as few as there are values of, and as the points allow."""
    age = now - within.start
    kept = FINEST if age <= FINEST.kept else MINUTE if age <= MINUTE.kept else HOUR
    first, last = _seconds(within.start), _seconds(within.end)
    # With so many days, a range that begins within a step has no more than one step beside its own.
    days: int = math.ceil((last - first) / DAY / (points - 1))
    seconds: int
    for seconds in (*ROUND, *range(2 * DAY, days * DAY, DAY)):
        if seconds >= kept.seconds and math.ceil(last / seconds) - first // seconds <= points:
            return seconds
    return days * DAY


def _series(
    chosen: Mapping[int, Name],
    parts: Sequence[Part],
    newest: Newest,
    within: Range,
    seconds: int,
) -> Sequence[Series]:
    by_series: dict[int, list[tuple[Step, dt.datetime, Block]]] = defaultdict(list)
    steps = {step.seconds: step for step in STEPS}
    for part in parts:
        step = steps[part.step]
        by_series[part.series].append((step, part.began_at, packing.unpack_block(part.points, step)))
    for began_at, readings in _hours(newest).items():
        for series, block in packing.blocks_of(readings, FINEST).items():
            if series in chosen:
                by_series[series].append((FINEST, began_at, block))
    return [Series(name, list(points_of(by_series[each], within, seconds))) for each, name in chosen.items()]


def _hours(newest: Newest) -> Mapping[dt.datetime, list[tuple[int, Mapping[int, float]]]]:
    """Returns the readings by the beginning of their block, each with its place in that."""
    found: dict[dt.datetime, list[tuple[int, Mapping[int, float]]]] = defaultdict(list)
    for at, values in newest:
        began_at = FINEST.block_of(at)
        found[began_at].append((int((at - began_at).total_seconds()) // FINEST.seconds, values))
    return found


def points_of(
    blocks: Iterable[tuple[Step, dt.datetime, Block]], within: Range, seconds: int
) -> Iterator[Point]:
    """Yields the points of one series in steps of so many seconds, by time.

    Within a step, each value counts for as long as its own step is. What a step has outside of the range
    does not count.
    """
    first, last = _seconds(within.start), _seconds(within.end)
    sums: dict[int, list[float]] = {}
    for step, began_at, block in blocks:
        began = _seconds(began_at)
        lowest = max(0, math.ceil((first - began) / step.seconds))
        highest = min(step.points, math.ceil((last - began) / step.seconds))
        at = lowest
        while at < highest:
            bucket = int((began + at * step.seconds) // seconds)
            until = min(highest, max(at + 1, math.ceil(((bucket + 1) * seconds - began) / step.seconds)))
            found = packing.summary([row[at:until] for row in block])
            if found is not None:
                _add(sums, bucket, found, step.seconds)
            at = until
    for bucket in sorted(sums):
        weight, total, least, greatest = sums[bucket]
        time = EPOCH + dt.timedelta(seconds=bucket * seconds)
        yield Point(time, min(max(total / weight, least), greatest), least, greatest)


def _add(
    sums: dict[int, list[float]], bucket: int, found: tuple[int, float, float, float], seconds: int
) -> None:
    count, mean, least, greatest = found
    known = sums.setdefault(bucket, [0.0, 0.0, least, greatest])
    known[0] += count * seconds
    known[1] += mean * count * seconds
    known[2] = min(known[2], least)
    known[3] = max(known[3], greatest)


def _seconds(moment: dt.datetime) -> float:
    return (moment - EPOCH).total_seconds()
