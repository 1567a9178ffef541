"""How long measures are kept, and how they become coarser: in steps of 10 seconds, a minute, an hour.

Values of one series (a measure of a subject) are kept in blocks of time, whose lengths are multiples of each
other: when all blocks of a longer one are old enough, they are thinned to one block of the next step.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Step:
    """`seconds` from a value to the next; `points`: values of a block. What is older than `kept` is thinned.

    `rows`: of a block: the values; or their means, the least and the greatest of each step.
    """

    seconds: int
    points: int
    kept: dt.timedelta
    rows: int

    @property
    def span(self) -> dt.timedelta:
        """The length of a block."""
        return dt.timedelta(seconds=self.seconds * self.points)

    def block_of(self, moment: dt.datetime) -> dt.datetime:
        """Returns the beginning of the block with the moment."""
        return moment - (moment - EPOCH) % self.span


FINEST = Step(10, 360, dt.timedelta(days=1), rows=1)
MINUTE = Step(60, 360, dt.timedelta(days=30), rows=3)
HOUR = Step(3600, 120, dt.timedelta(days=365), rows=3)
STEPS = (FINEST, MINUTE, HOUR)
# What each is thinned to; the last one is dropped.
COARSER = {FINEST: MINUTE, MINUTE: HOUR}


def slot_of(moment: dt.datetime) -> dt.datetime:
    """Returns the finest step that a reading is of. Readings are taken as it begins, or a moment sooner."""
    shifted = moment + dt.timedelta(seconds=0.5)
    return shifted - (shifted - EPOCH) % dt.timedelta(seconds=FINEST.seconds)
