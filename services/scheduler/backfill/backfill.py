"""Backfills: due times of the past that an operator has sent, at a pace. What they are; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from services.scheduler.timing.plan import JUST_BEFORE, Plan

# Runs of fast backfills are sent several at a time, so often.
STEP_SECONDS = 0.2
# Of one backfill.
MOST_RUNS = 10_000


class BackfillState(Enum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Window(NamedTuple):
    """Due times from `start` on and before `end`; with more of them than `most`, it is refused."""

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
    # How many due times it is for, the earliest and the latest of them.
    run_count: int
    first: dt.datetime | None
    last: dt.datetime | None
    actor: str
    id: str = ""
    state: BackfillState | None = None
    note: str = ""
    # Of run_count: sent, or passed over.
    handled: int = 0
    sent: int = 0
    created_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None


class Stride(NamedTuple):
    """So many runs at a time, and the seconds until the next."""

    runs: int
    seconds: float


def stride(rate: float) -> Stride:
    runs = max(1, int(rate * STEP_SECONDS))
    return Stride(runs, runs / rate)


def due_times(plan: Plan, window: Window) -> Iterator[dt.datetime]:
    """The due times of the window, in order; one more than `most` when there are too many.

    All of them at once would hold up the event loop: some thousand take a second.
    """
    due = plan.next_due(window.start - JUST_BEFORE)
    for _ in range(window.most + 1):
        if due is None or due >= window.end:
            return
        yield due
        due = plan.next_due(due)
