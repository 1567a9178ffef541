"""What a backfill is: due times of the past whose runs an operator has sent, at a chosen rate. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from services.scheduler.timing.plan import JUST_BEFORE, Plan

# A fast backfill sends several runs at a time, about this often.
STEP_SECONDS = 0.2
# The most runs of one backfill.
MOST_RUNS = 10_000


class BackfillState(Enum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Window(NamedTuple):
    """The due times from `start` up to, but not including, `end`. More of them than `most` are refused."""

    schedule_id: str
    start: dt.datetime
    end: dt.datetime
    most: int
    # Runs a second.
    rate: float
    newest_first: bool = False


@dataclass(frozen=True)
class Backfill:
    """A backfill. One that is only proposed has neither id nor state."""

    schedule_id: str
    start: dt.datetime
    end: dt.datetime
    rate: float
    newest_first: bool
    # The number of due times to run, and the earliest and the latest of them.
    run_count: int
    first: dt.datetime | None
    last: dt.datetime | None
    actor: str
    id: str = ""
    state: BackfillState | None = None
    note: str = ""
    # How many of run_count were sent or passed over.
    handled: int = 0
    sent: int = 0
    created_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    # The id of its operation (services.kernel.operations).
    operation_id: str = ""


class Stride(NamedTuple):
    """How many runs one step sends, and how many seconds later the next step follows."""

    runs: int
    seconds: float


def stride(rate: float) -> Stride:
    runs = max(1, int(rate * STEP_SECONDS))
    return Stride(runs, runs / rate)


def due_times(plan: Plan, window: Window) -> Iterator[dt.datetime]:
    """Yields the due times of the window, in order; `most` + 1 of them when there are too many.

    An iterator, since finding all at once would block the event loop: a few thousand take a second.
    """
    due = plan.next_due(window.start - JUST_BEFORE)
    for _ in range(window.most + 1):
        if due is None or due >= window.end:
            return
        yield due
        due = plan.next_due(due)
