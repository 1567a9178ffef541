"""Memory and CPU of workers that run on this machine, measured from here.

A worker tells its hostname and its process id. Neither proves anything: a worker may be given any hostname,
and in a container or on another machine another process has that id here. So the process has to have used
the CPU time that the worker says it has used, to a clock tick, and to be as old as the worker is. No other
process's numbers are shown.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import socket
import time
from collections.abc import Iterator, Sequence

import psutil

from services.monitor.workers.inspection import CpuTimes, NotTold, Stats, Use

MEASURED_SECONDS = 0.1
MOST_PROCESSES = 1_000
# The kernel counts CPU time in ticks, and each of two readings may be one off.
TICK_SECONDS = 2.0 / os.sysconf("SC_CLK_TCK")
# A worker counts its age from when its application is loaded, which takes a moment, in whole seconds.
MOST_LOADING_SECONDS = 600.0
AGE_PRECISION_SECONDS = 2.0


def is_of_this_host(hostname: str) -> bool:
    """Whether the worker "celery@host" says that it runs on this machine. Blocks at the first call."""
    host = hostname.rpartition("@")[2].lower()
    return bool(host) and host in _own_names()


@functools.cache
def _own_names() -> frozenset[str]:
    """The names of this machine. The name server is asked, which may take seconds."""
    ours = socket.gethostname().lower()
    return frozenset({ours, ours.partition(".")[0], socket.getfqdn().lower()})


def process_of(hostname: str, stats: Stats, asked_at: float) -> psutil.Process:
    """Returns the worker's process; raises `NotTold` unless it is proven to be that.

    `asked_at`: when `stats` was asked for, in seconds since 1970. Blocks for some system calls.
    """
    if not is_of_this_host(hostname):
        raise NotTold("not known: by its hostname, the worker does not run on the monitor's machine")
    if stats.cpu is None or stats.uptime is None:
        raise NotTold("not known: the worker does not tell its age and its CPU time")
    try:
        process = psutil.Process(stats.pid)
        born, now = process.create_time(), time.time()
        times = process.cpu_times()
    except psutil.Error as error:
        raise NotTold("not known: the monitor's machine has no such process") from error
    age = asked_at - stats.uptime - born
    old_enough = -AGE_PRECISION_SECONDS <= age <= MOST_LOADING_SECONDS
    if not (old_enough and _fits(stats.cpu, CpuTimes(times.user, times.system), now - asked_at)):
        raise NotTold("not known: the process of this id on the monitor's machine is not the worker's")
    return process


def _fits(told: CpuTimes, seen: CpuTimes, since: float) -> bool:
    """Whether a process that had used `told` may have used `seen` after so many seconds.

    Its threads may have used more than that on several processors.
    """
    most = since * (os.cpu_count() or 1) + TICK_SECONDS
    return all(
        -TICK_SECONDS <= now - then <= most
        for then, now in ((told.user, seen.user), (told.system, seen.system))
    )


def measured(process: psutil.Process) -> Sequence[Use]:
    """Returns what the process and its children use, the process itself first. Blocks for a tenth of a
    second."""
    watched = [process, *_children(process)][:MOST_PROCESSES]
    for each in watched:
        _primed(each)
    time.sleep(MEASURED_SECONDS)
    return [use for each in watched for use in _use(each, main=each is process)]


def _children(process: psutil.Process) -> Sequence[psutil.Process]:
    try:
        return sorted(process.children(recursive=True), key=lambda child: child.pid)
    except psutil.Error:
        return []


def _primed(process: psutil.Process) -> None:
    """Begins to measure its CPU time. One that has ended meanwhile is left out later."""
    with contextlib.suppress(psutil.Error):
        process.cpu_percent(None)


def _use(process: psutil.Process, *, main: bool) -> Iterator[Use]:
    try:
        with process.oneshot():
            times = process.cpu_times()
            yield Use(
                process.pid,
                main,
                process.memory_info().rss,
                times.user + times.system,
                process.cpu_percent(None),
                dt.datetime.fromtimestamp(process.create_time(), dt.UTC),
            )
    except psutil.Error:
        return
