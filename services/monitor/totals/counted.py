"""What was counted of some events, kept as it came.

To add each event up under its key in a tally would take as long as a sixth of all else that is done for it.
So an event leaves a reference to its cell, and a duration in the list of its series; they are added up in
one go when totals are written, for some thousand events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from services.monitor.totals.tally import DURATION_BOUNDS, SECONDS, Key, Tally, add

_BOUNDS = np.array(DURATION_BOUNDS)
BUCKETS = tuple(str(number) for number in range(len(DURATION_BOUNDS) + 1))


class Cell:
    """A number of the totals, of which one more is counted. Each is found by its identity, which is fast.

    `also`: another number that is one more with it.
    """

    __slots__ = ("also", "key")

    def __init__(self, key: Key, also: Key | None = None) -> None:
        self.key, self.also = key, also


class Series:
    """A histogram of the totals, to which durations are added."""

    __slots__ = ("figure", "label")

    def __init__(self, figure: str, label: str) -> None:
        self.figure, self.label = figure, label


def _lists() -> defaultdict[Series, list[float]]:
    return defaultdict(list)


@dataclass(slots=True)
class Counted:
    """`cells`: one for each that was counted. `durations`: in seconds."""

    tally: Tally = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    durations: defaultdict[Series, list[float]] = field(default_factory=_lists)

    def __bool__(self) -> bool:
        return bool(self.tally or self.cells or self.durations)

    def add(self, more: Counted) -> None:
        add(self.tally, more.tally)
        self.cells += more.cells
        for series, durations in more.durations.items():
            self.durations[series] += durations

    def added_up(self) -> Tally:
        """Returns all of it by key, and keeps it in that form."""
        tally = self.tally
        for cell, count in Counter(self.cells).items():
            tally[cell.key] = tally.get(cell.key, 0) + count
            if cell.also is not None:
                tally[cell.also] = tally.get(cell.also, 0) + count
        if self.durations:
            add(tally, _by_buckets(self.durations))
        self.cells, self.durations = [], _lists()
        return tally


def _by_buckets(durations: Mapping[Series, Sequence[float]]) -> Tally:
    """Returns how many durations of each series are in each bucket, and their sum: of all series at once."""
    lengths = [len(each) for each in durations.values()]
    values = np.array(list(chain.from_iterable(durations.values())))
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = rows * len(BUCKETS) + np.searchsorted(_BOUNDS, values)
    counts = np.bincount(places, minlength=len(lengths) * len(BUCKETS)).reshape(len(lengths), len(BUCKETS))
    sums = np.bincount(rows, values).tolist()
    found: Tally = {}
    for series, seconds, row in zip(durations, sums, counts.tolist(), strict=True):
        found[series.figure, series.label, SECONDS] = seconds
        for bucket, count in zip(BUCKETS, row, strict=True):
            if count:
                found[series.figure, series.label, bucket] = count
    return found


def together(parts: Iterable[Counted]) -> Counted:
    found = Counted()
    for part in parts:
        found.add(part)
    return found
