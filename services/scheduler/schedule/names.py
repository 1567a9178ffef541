"""The resource names of runs. A run's id is its due time in UTC, to the microsecond and without colons.

The due time is unique within a schedule, also for triggered runs: it is part of the run's primary key.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

from services.kernel.validation import Faults
from services.scheduler.schedule import checks

NAME = re.compile(r"(schedules/[^/]*)/runs/([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)")
EXAMPLE = "schedules/cleanup-cache-daily/runs/20261129T033000.000000Z"


def run_name(schedule_id: str, due_at: dt.datetime) -> str:
    return f"schedules/{schedule_id}/runs/{run_id(due_at)}"


# Cached, because many runs have the same due time.
@lru_cache(maxsize=1000)
def run_id(due_at: dt.datetime) -> str:
    """Returns the last part of the name of a run: "20261129T033000.000000Z"."""
    # Without a zone: an infinite moment, as somebody has written it by SQL.
    in_utc = due_at if due_at.tzinfo is None else due_at.astimezone(dt.UTC).replace(tzinfo=None)
    # Not strftime, which writes years below 1000 with fewer than four digits.
    moment = in_utc.isoformat(timespec="microseconds")
    return f"{moment.replace('-', '').replace(':', '')}Z"


def run_key(name: str, field: str = "name") -> tuple[str, dt.datetime]:
    """Returns the schedule's id and the due time in the name of a run. Raises `Invalid`."""
    faults, found = Faults(), NAME.fullmatch(name)
    try:
        due_at = dt.datetime.fromisoformat(found[2]) if found else None
    except ValueError:
        # The digits are no date: month 13, hour 25.
        due_at = None
    if found is None or due_at is None:
        shown = name if len(name) <= 300 else f"{name[:300]}…"
        faults.add(field, f"is {shown!r}, not the name of a run", EXAMPLE)
        faults.raise_any()
        raise AssertionError
    schedule_id = checks.schedule_id(found[1], faults)
    faults.raise_any()
    return schedule_id, due_at
