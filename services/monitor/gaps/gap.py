"""A gap of the events: a time in which some were missed, and what was found out about their tasks since."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from services.monitor.intake.seen_gaps import GapCause


class GapState(enum.Enum):
    """OPEN: some of its tasks may not be as they are shown. REPAIRED: all are."""

    OPEN = "OPEN"
    REPAIRED = "REPAIRED"


@dataclass(frozen=True)
class EventGap:
    """A recorded gap, from `started_at` until `ended_at`.

    missed: messages or events, at least; None: not known.
    from_results, from_workers: tasks whose state was put right by the result backend, and by workers.
    not_repairable: tasks that have ended, and how is not known.
    undecided, note: tasks that are still to be found out about, and what that waits for; of a repaired gap,
    what could not be asked.
    results_read: whether the result backend was read; None: not yet.
    """

    id: int
    cause: GapCause
    started_at: dt.datetime
    ended_at: dt.datetime
    missed: int | None
    state: GapState
    from_results: int
    from_workers: int
    not_repairable: int
    undecided: int
    note: str
    results_read: bool | None
    recorded_at: dt.datetime
    repaired_at: dt.datetime | None

    @property
    def words(self) -> str:
        """As the component `events` tells of it."""
        seconds = (self.ended_at - self.started_at).total_seconds()
        until = f"{self.ended_at:%Y-%m-%d %H:%M:%S}Z"
        told = f"{seconds:.1f} s of events until {until} were missed ({self.cause.value})"
        doing = f"{self.undecided} tasks are not known yet" if self.undecided else "its tasks are looked up"
        return f"{told}; {doing}{f': {self.note}' if self.note else ''}"
