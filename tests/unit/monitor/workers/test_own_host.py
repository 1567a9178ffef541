"""Numbers of a process are shown only where it is proven that the process is the worker's."""

from __future__ import annotations

import dataclasses
import os
import resource
import socket
import time
from collections.abc import Callable

import psutil
import pytest

from services.monitor.workers.inspection import CpuTimes, NotTold, Stats
from services.monitor.workers.own_host import is_of_this_host, measured, process_of

HERE = f"celery@{socket.gethostname()}"


def own_stats() -> Stats:
    """What this process would tell if it were a worker that has just been loaded."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    age = time.time() - psutil.Process().create_time()
    # It is loaded for no longer than a worker may take.
    return Stats(os.getpid(), None, max(0.0, age - 1), {}, CpuTimes(usage.ru_utime, usage.ru_stime))


def test_the_process_that_used_the_cpu_time_it_tells_is_the_workers() -> None:
    asked_at = time.time()
    process = process_of(HERE, own_stats(), asked_at)
    main, *_ = measured(process)
    assert (main.pid, main.main) == (os.getpid(), True)
    assert main.memory > 1024 * 1024 and main.cpu_seconds > 0


@pytest.mark.parametrize(
    ("hostname", "changed"),
    [
        ("celery@elsewhere", lambda stats: stats),
        # Of another machine or container: the process of this id here is another.
        (HERE, lambda stats: dataclasses.replace(stats, cpu=CpuTimes(stats.cpu.user + 5, stats.cpu.system))),
        (HERE, lambda stats: dataclasses.replace(stats, uptime=stats.uptime + 100_000)),
        (HERE, lambda stats: dataclasses.replace(stats, pid=2**22 + 1)),
        (HERE, lambda stats: dataclasses.replace(stats, pid=os.getppid())),
        (HERE, lambda stats: dataclasses.replace(stats, cpu=None)),
    ],
    ids=["another host", "another CPU time", "older", "no such process", "another process", "no CPU time"],
)
def test_of_a_process_that_may_be_another_nothing_is_shown(
    hostname: str, changed: Callable[[Stats], Stats]
) -> None:
    with pytest.raises(NotTold, match="not known"):
        process_of(hostname, changed(own_stats()), time.time())


@pytest.mark.parametrize("hostname", ["celery", "celery@", "@", "celery@other.example"])
def test_a_hostname_of_no_machine_is_not_this_one(hostname: str) -> None:
    assert not is_of_this_host(hostname)
