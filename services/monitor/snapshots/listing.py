"""The list of snapshots: the times of which the measures of the whole system are kept."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.kernel.database import Database
from services.monitor.measuring.measures import MEASURES, Subject
from services.monitor.snapshots import packing
from services.monitor.snapshots.charts import Point, Range
from services.monitor.snapshots.steps import FINEST, STEPS, Step
from services.monitor.snapshots.store_charts import ChartStore

OF_SYSTEM = [name for name, each in MEASURES.items() if each.kept and each.subject is Subject.SYSTEM]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was known of one step, by measure. `time`: when it began."""

    time: dt.datetime
    step: Step
    figures: Mapping[str, Point]


class SnapshotList:
    """Reads snapshots, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, steps: Collection[Step], within: Range, most: int) -> Sequence[Snapshot]:
        """Returns the newest ones in the range, at most so many. Raises the database's errors."""
        found: list[Snapshot] = []
        async with self._database.reading() as connection:
            store = ChartStore(connection)
            if FINEST in steps:
                found += await _of_readings(store, within)
            series = await store.series(OF_SYSTEM)
            names = {number: name.measure for number, name in series.items()}
            before = within.end
            while len(found) < most:
                newest = await _newest_span(store, steps, before)
                if newest is None or newest.end <= within.start:
                    break
                found += await _of_blocks(store, names, steps, newest, within)
                before = newest.start
        found.sort(key=lambda each: (each.time, each.step.seconds), reverse=True)
        return found[:most]


async def _newest_span(store: ChartStore, steps: Collection[Step], before: dt.datetime) -> Range | None:
    """Returns the times of the newest blocks that begin before the time."""
    begins = [
        (began_at, step) for step in steps if (began_at := await store.newest_block(step, before)) is not None
    ]
    if not begins:
        return None
    began_at, step = max(begins, key=lambda each: each[0])
    return Range(began_at, began_at + step.span)


async def _of_readings(store: ChartStore, within: Range) -> Sequence[Snapshot]:
    readings = await store.readings(within.start, within.end)
    series = await store.series(OF_SYSTEM)
    found = []
    for at, packed in readings:
        values = packing.unpack_reading(packed)
        known = {series[each].measure: values[each] for each in series.keys() & values.keys()}
        if known:
            figures = {name: Point(at, value, value, value) for name, value in known.items()}
            found.append(Snapshot(at, FINEST, figures))
    return found


async def _of_blocks(
    store: ChartStore, names: Mapping[int, str], steps: Collection[Step], span: Range, within: Range
) -> Sequence[Snapshot]:
    """Returns the snapshots of the blocks that begin as the span does."""
    by_time: dict[tuple[dt.datetime, Step], dict[str, Point]] = {}
    by_seconds = {step.seconds: step for step in STEPS}
    for part in await store.parts(list(names), span.start, span.end):
        step = by_seconds[part.step]
        if part.began_at != span.start or step not in steps:
            continue
        for point in _points(packing.unpack_block(part.points, step), step, part.began_at):
            if within.start <= point.time < within.end:
                by_time.setdefault((point.time, step), {})[names[part.series]] = point
    return [Snapshot(at, step, figures) for (at, step), figures in by_time.items()]


def _points(block: packing.Block, step: Step, began_at: dt.datetime) -> Iterator[Point]:
    means, least, greatest = block[0], block[len(block) // 2], block[-1]
    for place, mean in enumerate(means):
        if not math.isnan(mean):
            time = began_at + dt.timedelta(seconds=place * step.seconds)
            yield Point(time, mean, least[place], greatest[place])
