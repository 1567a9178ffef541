"""Figures of the machine that this process runs on: CPU, memory, disks, network.

psutil reads them from the operating system. In a container most of them are of the whole machine.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MOST_DISKS = 20
# Rates and the share of the CPU are averages between two samples. One that was taken longer ago than this
# says nothing of the present, so that two are taken, this far apart.
OLD_SECONDS, APART_SECONDS = 10.0, 0.2
# Figures younger than this are given to all who ask: the average of a shorter time says little.
FRESH_SECONDS = 1.0
LOOPBACK = "lo"


@dataclass(frozen=True)
class Disk:
    """A disk: where it is mounted, and bytes in all and free."""

    path: str
    total: int
    free: int


@dataclass(frozen=True)
class Host:
    """Figures of one moment. Sizes are in bytes; rates, in bytes per second, and `cpu_percent` (0 to 100) are
    averages since the sample before. `received` and `sent` count from the start of the machine."""

    hostname: str
    sampled_at: dt.datetime
    cpu_count: int
    cpu_percent: float
    load_average: Sequence[float]
    memory_total: int
    memory_available: int
    swap_total: int
    swap_used: int
    disks: Sequence[Disk]
    received: int
    sent: int
    received_per_second: float
    sent_per_second: float
    booted_at: dt.datetime


@dataclass(frozen=True)
class _Sample:
    """What is counted, at one moment of time.monotonic(): seconds of all CPUs, bytes over the network."""

    at: float
    busy: float
    idle: float
    received: int
    sent: int


class HostFigures:
    """Takes samples when it is asked, in a thread, since a disk may hang.

    `old_seconds`: an older sample is not compared with, and two new ones are taken.
    """

    def __init__(self, old_seconds: float = OLD_SECONDS) -> None:
        self._old_seconds = old_seconds
        self._before: _Sample | None = None
        self._known: Host | None = None
        self._known_at = float("-inf")
        self._looking = asyncio.Lock()

    async def now(self) -> Host:
        """Returns figures that are at most FRESH_SECONDS old. Raises `psutil.Error` and `OSError`."""
        async with self._looking:
            if self._known is None or time.monotonic() - self._known_at > FRESH_SECONDS:
                if self._before is None or time.monotonic() - self._before.at > self._old_seconds:
                    self._before = await asyncio.to_thread(_sample)
                    await asyncio.sleep(APART_SECONDS)
                sample = await asyncio.to_thread(_sample)
                self._known = await asyncio.to_thread(_figures, self._before, sample)
                self._before, self._known_at = sample, time.monotonic()
            return self._known


def _sample() -> _Sample:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Time of guests is in that of the users, too.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    cards = [
        counted for name, counted in psutil.net_io_counters(pernic=True).items() if not _is_loopback(name)
    ]
    return _Sample(
        time.monotonic(),
        sum(times) - guests - idle,
        idle,
        sum(card.bytes_recv for card in cards),
        sum(card.bytes_sent for card in cards),
    )


def _is_loopback(name: str) -> bool:
    return name.rstrip("0123456789") == LOOPBACK


def _figures(before: _Sample, now: _Sample) -> Host:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    busy, idle = now.busy - before.busy, now.idle - before.idle
    seconds = max(now.at - before.at, 1e-3)
    return Host(
        hostname=os.uname().nodename,
        sampled_at=dt.datetime.now(dt.UTC),
        cpu_count=psutil.cpu_count() or 1,
        cpu_percent=min(100.0, max(0.0, 100.0 * busy / (busy + idle))) if busy + idle > 0 else 0.0,
        load_average=os.getloadavg(),
        memory_total=memory.total,
        memory_available=memory.available,
        swap_total=swap.total,
        swap_used=swap.used,
        disks=_disks(),
        received=now.received,
        sent=now.sent,
        # A card may have been taken out: less is no rate.
        received_per_second=max(0, now.received - before.received) / seconds,
        sent_per_second=max(0, now.sent - before.sent) / seconds,
        booted_at=dt.datetime.fromtimestamp(psutil.boot_time(), dt.UTC),
    )


def _disks() -> Sequence[Disk]:
    mounted = [each.mountpoint for each in psutil.disk_partitions(all=False)]
    found = []
    for path in dict.fromkeys(["/", *sorted(mounted)]):
        # What was mounted a moment ago, or is not for us to see, is left out.
        try:
            usage = psutil.disk_usage(path)
        except OSError:
            continue
        if usage.total and Path(path).is_dir():
            found.append(Disk(path, usage.total, usage.free))
    return found[:MOST_DISKS]
