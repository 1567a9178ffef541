"""All workers that were heard of, each process by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from services.monitor.tasks.names import WorkerName, cut
from services.monitor.tasks.values import pid_in
from services.monitor.workers.worker import Worker, WorkerRecord, WorkerState

# Workers that are gone are shown for a day, and of one hostname no more than this many.
KEPT_SECONDS = 24 * 3600.0
MOST_GONE = 10
MOST_WORKERS = 10_000


class WorkerTable:
    """All known workers. `now` is passed in everywhere, in seconds of one monotonic clock.

    A worker is known by its hostname and its process id together: a worker that is started again is another
    one, and so is each of two that run at once under one hostname. Neither disturbs the counts of the other.
    """

    def __init__(self) -> None:
        self._workers: dict[WorkerName, WorkerRecord] = {}
        # The same, by hostname and process id.
        self._by_hostname: dict[str, dict[int, WorkerRecord]] = {}
        self._lost_before = 0

    def hear(self, event_type: str, at: int, event: Mapping[str, Any], now: float) -> Worker | None:
        """Takes in worker-online, -heartbeat or -offline. Returns the worker if its state has changed."""
        hostname, pid = event.get("hostname"), pid_in(event)
        if type(hostname) is not str or pid is None:
            return None
        record = self._record(WorkerName(cut(hostname), pid), at, now)
        before = record.state
        if event_type == "worker-offline":
            record.farewell(at, now)
        else:
            record.heartbeat(at, event, now)
        return record.worker() if record.state is not before else None

    def started(self, event: Mapping[str, Any], at: int) -> None:
        """Counts a task-started event. The caller must not pass the same event twice."""
        hostname, pid = event.get("hostname"), pid_in(event)
        # Any program that reaches the broker can write an event.
        if type(hostname) is str and pid is not None:
            record = self._by_hostname.get(cut(hostname), {}).get(pid)
            if record is not None:
                record.started(at)

    def sweep(self, now: float) -> Sequence[Worker]:
        """Returns the workers that have become silent or are given up; forgets those gone for a day."""
        changed = []
        for record in list(self._workers.values()):
            silence = now - record.heard_at
            if record.silent(silence):
                changed.append(record.worker())
            elif record.state is WorkerState.GONE and silence > KEPT_SECONDS:
                self._forget(record)
        return changed

    def next_sweep(self) -> float:
        """Returns when `sweep` has something to do if nothing more is heard; `math.inf` if never."""
        ends = (min(record.silent_at(), record.heard_at + KEPT_SECONDS) for record in self._workers.values())
        return min(ends, default=math.inf)

    def all(self) -> Sequence[Worker]:
        """Returns all workers, by name."""
        return [record.worker() for _, record in sorted(self._workers.items(), key=lambda item: str(item[0]))]

    def find(self, name: WorkerName) -> Sequence[Worker]:
        """Returns the worker of that name; the workers of a hostname, last heard of first, if that is all."""
        of_hostname = self._by_hostname.get(name.hostname, {})
        if name.pid is not None:
            return [of_hostname[name.pid].worker()] if name.pid in of_hostname else []
        records = sorted(of_hostname.values(), key=lambda record: record.heard_at, reverse=True)
        return [record.worker() for record in records]

    def online(self) -> Sequence[WorkerName]:
        """Returns the names of the workers that are online."""
        return [name for name, record in self._workers.items() if record.state is WorkerState.ONLINE]

    def active(self) -> int:
        """Returns how many tasks are being run now, by the workers' own count."""
        return sum(record.active for record in self._workers.values())

    def lost(self) -> int:
        """Returns how many task-started events workers must have sent that never arrived."""
        return self._lost_before + sum(record.lost for record in self._workers.values())

    def _record(self, name: WorkerName, at: int, now: float) -> WorkerRecord:
        known = self._workers.get(name)
        if known is not None:
            return known
        if len(self._workers) >= MOST_WORKERS:
            self._forget(min(self._workers.values(), key=lambda record: record.heard_at))
        of_hostname = self._by_hostname.setdefault(name.hostname, {})
        gone = [record for record in of_hostname.values() if record.state is WorkerState.GONE]
        if len(gone) >= MOST_GONE:
            self._forget(min(gone, key=lambda record: record.heard_at))
        assert name.pid is not None
        record = self._workers[name] = of_hostname[name.pid] = WorkerRecord(name, at, now)
        return record

    def _forget(self, record: WorkerRecord) -> None:
        del self._workers[record.name]
        of_hostname = self._by_hostname[record.name.hostname]
        assert record.name.pid is not None
        del of_hostname[record.name.pid]
        if not of_hostname:
            del self._by_hostname[record.name.hostname]
        self._lost_before += record.lost
