"""What processes use: the CPU time of their threads, and how often these were woken; and their memory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """CPU in seconds, and how often a thread stopped to wait (voluntary context switches)."""

    cpu: float = 0.0
    wakeups: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu + other.cpu, self.wakeups + other.wakeups)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.cpu - other.cpu, self.wakeups - other.wakeups)


def tree(pid: int) -> list[psutil.Process]:
    """Returns the process and all that descend from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def usage_of(pid: int) -> Usage:
    """Returns what the process has used by now, without its children; nothing if it has ended."""
    total = Usage()
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                nanoseconds = int((task / "schedstat").read_text().split()[0])
                status = (task / "status").read_text()
                woken = int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
                total += Usage(nanoseconds / 1e9, woken)
    return total


def used(components: Mapping[str, int]) -> dict[str, Usage]:
    """Returns what each component has used by now: its process and what descends from it.

    What is a component of its own is not counted with the one that started it.
    """
    return {
        name: sum((usage_of(one) for one in _own(pid, set(components.values()))), Usage())
        for name, pid in components.items()
    }


def _own(pid: int, components: set[int]) -> list[int]:
    own = [pid]
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            if child.pid not in components:
                own += _own(child.pid, components)
    return own


def cpu_until_now(pid: int) -> float:
    """Returns the CPU seconds of a whole tree, with what has ended in it already."""
    total = 0.0
    for one in tree(pid):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(pid: int) -> float:
    """Returns the memory of a tree in MB of 10^6 bytes (PSS: what processes share is counted once)."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(psutil.Error):
            total += one.memory_full_info().pss
    return total / 1e6


def peak_memory(pid: int) -> float:
    """Returns the most memory that a process had resident so far, in MB of 10^6 bytes."""
    status = (PROC / str(pid) / "status").read_text()
    return int(status.partition("\nVmHWM:")[2].split()[0]) * 1024 / 1e6
