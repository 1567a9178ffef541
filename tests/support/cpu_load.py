"""How much CPU processes use, and processes that do nothing but use as much."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

# Busy for a share of each hundredth of a second, by its own CPU time, until it is told to end.
BURN = """
import sys, time
share = float(sys.argv[1])
while True:
    begun, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < 0.01 * share:
        pass
    time.sleep(max(0.0, 0.01 - (time.perf_counter() - begun)))
"""


def parent_of(pid: int) -> int:
    return int(_stat(pid)[1])


def cpu_seconds(pids: Collection[int], parents: Collection[int] = ()) -> float:
    """Used so far by these processes, and by all children, past and present, of the parents."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = _stat(int(folder.name))
            own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
            if int(folder.name) in parents:
                ticks += own + reaped
            elif int(folder.name) in pids or int(fields[1]) in parents:
                ticks += own
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def burning(cores: float) -> Iterator[None]:
    """Foreign processes that use so many cores, as few as can."""
    count = max(1, math.ceil(cores))
    command = [sys.executable, "-c", BURN, str(cores / count)]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on: proc(5) has what each is."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
