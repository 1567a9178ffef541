"""Waiting for what is measured, and what the kernel knows of a process."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import os
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

MOST_SECONDS = 120.0
# Between two looks at a queue, where so short a time is measured that longer ones would show in it.
LOOK_SECONDS = 0.002
MINUTE = dt.timedelta(minutes=1)


class TooSlow(Exception):
    """The due time passed before all was there."""


async def reaches(count: int, counted: Callable[[], Awaitable[int]], look_seconds: float = 0.02) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while (found := await counted()) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found} of {count} in {MOST_SECONDS:.0f} s")
        await asyncio.sleep(look_seconds)


async def until(moment: dt.datetime) -> None:
    wait = (moment - dt.datetime.now(dt.UTC)).total_seconds()
    if wait < 0:
        raise TooSlow(f"it is {-wait:.1f} s past {moment:%H:%M:%S} already")
    await asyncio.sleep(wait)


def full_minute(lead_seconds: float) -> dt.datetime:
    """The first full minute that is at least this far away."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lead_seconds)
    return moment.replace(second=0, microsecond=0) + MINUTE


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that this share of them does not exceed, as percentile_disc has it."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory now, in MB of 10^6 bytes."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The most resident memory since the process began, in MB of 10^6 bytes."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None, name
    return int(found[1]) * 1024 / 1e6
