"""The readings of one measure in the last day, as they were taken: to try rules of alerts on them."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.kernel.database import Database
from services.monitor.measuring.measures import Reading
from services.monitor.snapshots import packing
from services.monitor.snapshots.steps import FINEST
from services.monitor.snapshots.store_charts import ChartStore, Part
from services.monitor.snapshots.store_snapshots import Name


class Past:
    """Reads what snapshots keep in steps of 10 seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def readings(self, measure: str, since: dt.datetime) -> Sequence[Reading]:
        """Returns the readings by time. What was not known has no reading. Raises the database's errors."""
        now = dt.datetime.now(dt.UTC)
        async with self._database.reading() as connection:
            store = ChartStore(connection)
            newest = await store.readings(since, now)
            known = await store.series([measure])
            parts = await store.parts(list(known), since, now)
        return await asyncio.to_thread(_readings, measure, since, known, parts, newest)


def _readings(
    measure: str,
    since: dt.datetime,
    known: Mapping[int, Name],
    parts: Sequence[Part],
    newest: Sequence[tuple[dt.datetime, bytes]],
) -> Sequence[Reading]:
    values: defaultdict[dt.datetime, dict[str, float]] = defaultdict(dict)
    for part in parts:
        _take_block(part, known[part.series], values)
    for at, packed in newest:
        for series, value in packing.unpack_reading(packed).items():
            if series in known:
                values[at][known[series].subject] = value
    return [Reading(at, {measure: values[at]}) for at in sorted(values) if at >= since]


def _take_block(part: Part, name: Name, values: Mapping[dt.datetime, dict[str, float]]) -> None:
    if part.step != FINEST.seconds:
        return
    [block] = packing.unpack_block(part.points, FINEST)
    for place, value in enumerate(block):
        if not math.isnan(value):
            values[part.began_at + place * dt.timedelta(seconds=FINEST.seconds)][name.subject] = value
