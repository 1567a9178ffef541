"""Memory and CPU of workers of this machine: of their own processes and of no other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import psutil
import pytest

from services.monitor.measuring.measures import Values
from services.monitor.measuring.own_workers import OwnWorkers
from services.monitor.tasks.names import WorkerName

HERE = f"celery@{socket.gethostname()}"
# What is measured where no worker is of this machine.
NONE: Mapping[str, Values] = {"worker_memory_bytes": {}, "worker_cpu_percent": {}}
# A process with two children, which it replaces when it reads a line; it tells their ids.
PARENT = """
import subprocess, sys
def two():
    found = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    print(*(each.pid for each in found), flush=True)
    return found
children = two()
for _ in sys.stdin:
    for each in children:
        each.kill(); each.wait()
    children = two()
for each in children:
    each.kill()
"""


class Worker:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pool = self.told()

    def told(self) -> list[int]:
        assert self.process.stdout is not None
        return [int(pid) for pid in self.process.stdout.readline().split()]

    def replace_pool(self) -> list[int]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.told()

    def answer(self, pool: list[int] | None = None) -> dict[str, object]:
        """What Celery's `stats` tells."""
        times = psutil.Process(self.process.pid).cpu_times()
        return {
            "pid": self.process.pid,
            "uptime": 0,
            "rusage": {"utime": times.user, "stime": times.system},
            "pool": {
                "implementation": "celery.concurrency.prefork:TaskPool",
                "processes": self.pool if pool is None else pool,
            },
        }

    @property
    def name(self) -> WorkerName:
        return WorkerName(HERE, self.process.pid)

    def memory(self, pool: list[int]) -> int:
        return sum(psutil.Process(pid).memory_info().rss for pid in [self.process.pid, *pool])


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    with worker.process:
        yield worker
        worker.process.kill()
    for pid in worker.pool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def measured(own: OwnWorkers) -> tuple[float | None, float | None]:
    found = await own.read()
    memory, cpu = found.get("worker_memory_bytes", {}), found.get("worker_cpu_percent", {})
    return memory.get(HERE), cpu.get(HERE)


async def test_nothing_is_known_before_workers_were_asked(worker: Worker) -> None:
    own = OwnWorkers(lambda: [worker.name])
    assert await own.read() == {}
    await own.told({}, time.time())
    assert await own.read() == NONE


async def test_memory_is_of_the_worker_and_its_pool_and_cpu_from_the_second_reading_on(
    worker: Worker,
) -> None:
    own = OwnWorkers(lambda: [worker.name])
    await own.told({HERE: [worker.answer()]}, time.time())
    memory, cpu = await measured(own)
    assert memory == pytest.approx(worker.memory(worker.pool), rel=0.05) and cpu is None
    memory, cpu = await measured(own)
    assert memory and cpu is not None and 0 <= cpu < 100 * multiprocessing.cpu_count()


async def test_a_pool_that_was_replaced_since_is_found(worker: Worker) -> None:
    own = OwnWorkers(lambda: [worker.name])
    await own.told({HERE: [worker.answer()]}, time.time())
    newer = worker.replace_pool()
    memory, _ = await measured(own)
    assert memory == pytest.approx(worker.memory(newer), rel=0.05)
    worker.pool = newer


async def test_a_process_that_is_no_child_is_not_of_the_pool(worker: Worker) -> None:
    own = OwnWorkers(lambda: [worker.name])
    await own.told({HERE: [worker.answer([*worker.pool, os.getpid()])]}, time.time())
    memory, _ = await measured(own)
    assert memory == pytest.approx(worker.memory(worker.pool), rel=0.05)


async def test_of_a_worker_that_ended_or_is_not_there_nothing_is_known(worker: Worker) -> None:
    there = [worker.name]
    own = OwnWorkers(lambda: there)
    await own.told({HERE: [worker.answer()], "celery@elsewhere": [worker.answer()]}, time.time())
    assert set((await own.read())["worker_memory_bytes"]) == {HERE}
    worker.process.kill()
    worker.process.wait()
    assert await measured(own) == (None, None)
    there.clear()
    assert await own.read() == NONE


async def test_another_process_of_the_id_is_not_measured(worker: Worker) -> None:
    own = OwnWorkers(lambda: [worker.name])
    answer = worker.answer() | {"rusage": {"utime": 1_000.0, "stime": 1_000.0}}
    await own.told({HERE: [answer]}, time.time())
    assert await own.read() == NONE
