"""The scheduler alone, with 100,000 schedules of which none is due, beside Flower with nothing to do.

    make bench AREA=idle

Both run side by side, and are measured in the same stretches of time. Then the scheduler's system calls are
counted by strace, where there is one: it slows a process down, so it is not there while the CPU is measured.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import supervised
from benchmarks.processes import Usage, usage_of
from benchmarks.report import Measure, quick, report
from benchmarks.scheduler.measuring import resident_mb
from benchmarks.scheduler.ours import prepared
from benchmarks.servers import temporary_servers
from benchmarks.standalone.peers import peers

SCHEDULES = 10_000 if quick() else 100_000
ROUNDS = 1 if quick() else 3
# What the insertion leaves to be done is done by then, in PostgreSQL and in the scheduler.
SETTLE_SECONDS = 5.0 if quick() else 30.0
IDLE_SECONDS = 10.0 if quick() else 60.0
STRACE_SECONDS = 10.0 if quick() else 30.0
# 1 % of a core on the machine on which the goal was set, where Flower took 0.14 %.
TIMES_FLOWER_GOAL = 7.1


def main() -> None:
    with (
        temporary_servers() as servers,
        prepared(servers) as scheduler,
        peers() as others,
        scheduler.process() as (_, pid),
    ):
        asyncio.run(scheduler.insert_resting(SCHEDULES))
        time.sleep(SETTLE_SECONDS)
        rounds = [used_by(pid, others.components["flower"]) for _ in range(ROUNDS)]
        calls = system_calls(pid)
        memory = resident_mb(pid)
    ours, flowers = ([each[which] for each in rounds] for which in (0, 1))
    report(
        [
            cpu(ours, flowers),
            Measure("wakeups", wakeups(ours), "a second", wakeups(flowers)),
            *([Measure("system_calls", calls, "a second")] if calls is not None else []),
            Measure("memory", memory, "MB"),
        ]
    )


def used_by(*processes: int) -> list[Usage]:
    """Returns what each process used in one stretch of time."""
    before = [usage_of(pid) for pid in processes]
    time.sleep(IDLE_SECONDS)
    found = [usage_of(pid) - start for pid, start in zip(processes, before, strict=True)]
    print("   ".join(f"{one.cpu / IDLE_SECONDS:.2%} of a core, {one.wakeups} wake-ups" for one in found))
    return found


def cpu(ours: list[Usage], flowers: list[Usage]) -> Measure:
    value, peer = (
        statistics.median(one.cpu for one in each) / IDLE_SECONDS * 100 for each in (ours, flowers)
    )
    goal = f"at most {TIMES_FLOWER_GOAL:g} times Flower"
    met = value <= TIMES_FLOWER_GOAL * peer
    return Measure("idle_scheduler", value, "% of a core", peer, peer / value, goal, met)


def wakeups(each: list[Usage]) -> float:
    return statistics.median(one.wakeups for one in each) / IDLE_SECONDS


def system_calls(pid: int) -> float | None:
    """Returns how many system calls a second the process makes, and prints the most frequent; None without
    strace."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.TemporaryDirectory(prefix="celeriac-strace-") as folder:
        table = Path(folder) / "calls"
        counting = subprocess.Popen(
            [strace, "-c", "-f", "-o", str(table), "-p", str(pid)], stderr=subprocess.DEVNULL
        )
        time.sleep(STRACE_SECONDS)
        counting.send_signal(signal.SIGINT)
        counting.wait()
        found = table.read_text() if table.exists() else ""
    total = re.search(r"^100\.00 +\S+ +\S+ +(\d+)", found, re.MULTILINE)
    if total is None:
        # Where processes may not be looked into.
        return None
    print("\n".join(found.splitlines()[:12]))
    return int(total[1]) / STRACE_SECONDS


if __name__ == "__main__":
    supervised.run(main)
