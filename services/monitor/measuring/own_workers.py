"""Memory and CPU of the workers on the monitor's machine.

Which processes are theirs is proven (`workers/own_host.py`) by the answers to the roll call, once for each
worker: the process stays known by its id and the time at which it was started. Its pool is what it told last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from services.monitor.measuring.measures import Values
from services.monitor.tasks.names import WorkerName, cut
from services.monitor.workers.inspection import NotTold, Stats
from services.monitor.workers.own_host import is_of_this_host, process_of
from services.monitor.workers.told_stats import stats_in

# Processes that are looked at for one worker, and workers that are.
MOST_PROCESSES, MOST_WORKERS = 1_000, 100

# Seconds of CPU by process id and start: what this process has used until a moment.
Times = Mapping[tuple[int, float], float]


@dataclass
class Known:
    """A worker whose process is proven. `pool`: ids that it told. `times`: at the reading before, then."""

    process: psutil.Process
    pool: Sequence[int]
    at: float = 0.0
    times: Times = field(default_factory=dict)


class OwnWorkers:
    """`there`: the workers that are online or silent."""

    def __init__(self, there: Callable[[], Sequence[WorkerName]]) -> None:
        self._there = there
        self._known: dict[WorkerName, Known] = {}
        # Whether workers have been asked: before that it is not known which are of this machine.
        self._asked = False

    async def told(self, answers: Mapping[str, Sequence[Any]], asked_at: float) -> None:
        """Takes in answers to `stats` by hostname, which were asked for then (seconds since 1970)."""
        if answers:
            await asyncio.to_thread(self._prove, answers, asked_at)
        self._asked = True

    def _prove(self, answers: Mapping[str, Sequence[Any]], asked_at: float) -> None:
        for hostname, stats in _of_this_host(answers):
            name = WorkerName(hostname, stats.pid)
            pool = stats.pool.pids if stats.pool is not None else ()
            known = self._known.get(name)
            if known is not None and known.process.is_running():
                known.pool = pool
                continue
            try:
                self._known[name] = Known(process_of(hostname, stats, asked_at), pool)
            except NotTold:
                self._known.pop(name, None)

    async def read(self) -> Mapping[str, Values]:
        there = set(self._there())
        self._known = {name: known for name, known in self._known.items() if name in there}
        if not self._asked:
            return {}
        return await asyncio.to_thread(measured, dict(self._known)) if self._known else measured({})


def _of_this_host(answers: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Stats]]:
    """Yields those that say that they run here, at most MOST_WORKERS."""
    ours = [
        (hostname, each) for hostname, said in answers.items() if is_of_this_host(hostname) for each in said
    ]
    for hostname, said in ours[:MOST_WORKERS]:
        if (stats := stats_in(said)) is not None:
            yield cut(hostname), stats


def measured(workers: Mapping[WorkerName, Known]) -> Mapping[str, Values]:
    """Workers of one hostname are added up."""
    memory: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for name, known in workers.items():
        try:
            used, percent = _use(known)
        except psutil.Error:
            continue
        memory[name.hostname] = memory.get(name.hostname, 0) + used
        if percent is not None:
            cpu[name.hostname] = cpu.get(name.hostname, 0.0) + percent
    return {"worker_memory_bytes": memory, "worker_cpu_percent": cpu}


def _use(known: Known) -> tuple[int, float | None]:
    """Returns bytes, and the share of one core since the reading before; None at the first one.

    Raises `psutil.Error` if the worker has ended.
    """
    memory, times, now = 0, {}, time.monotonic()
    for process in [known.process, *_pool(known)][:MOST_PROCESSES]:
        try:
            with process.oneshot():
                used = process.cpu_times()
                memory += process.memory_info().rss
                times[process.pid, process.create_time()] = used.user + used.system
        except psutil.Error:
            if process is known.process:
                raise
    before, seconds = known.times, now - known.at
    known.times, known.at = times, now
    if not before:
        return memory, None
    # One that was not there before has used all of it since.
    return memory, 100.0 * sum(used - before.get(key, 0.0) for key, used in times.items()) / seconds


def _pool(known: Known) -> Sequence[psutil.Process]:
    """Returns the processes of the pool; where one that was told has ended, the children that there are."""
    if not known.process.is_running():
        raise psutil.NoSuchProcess(known.process.pid)
    try:
        return list(_told(known))
    except psutil.Error:
        return known.process.children()


def _told(known: Known) -> Iterator[psutil.Process]:
    for pid in known.pool:
        child = psutil.Process(pid)
        if child.ppid() != known.process.pid:
            raise psutil.NoSuchProcess(pid)
        yield child
