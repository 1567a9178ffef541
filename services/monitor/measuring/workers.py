"""Measures of the workers, by what they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.monitor.measuring.measures import Values, whole
from services.monitor.workers.worker import WorkerState
from services.monitor.workers.workers import WorkerTable


class WorkerMeasures:
    """`settled`: whether it is known which workers there are.

    What a silent worker does is not known. Of a hostname that several workers have, active tasks are added
    up, and the larger skew is told.
    """

    def __init__(self, workers: WorkerTable, settled: Callable[[], bool]) -> None:
        self._workers = workers
        self._settled = settled

    async def read(self) -> Mapping[str, Values]:
        if not self._settled():
            return {}
        workers = self._workers.all()
        online = [worker for worker in workers if worker.state is WorkerState.ONLINE]
        silent = sum(worker.state is WorkerState.SILENT for worker in workers)
        active: dict[str, float] = {}
        skew: dict[str, float] = {}
        # Hostnames of workers that send no heartbeats, and so tell no count of their tasks.
        untold = {worker.name.hostname for worker in online if worker.heartbeat_interval is None}
        for worker in online:
            hostname = worker.name.hostname
            if hostname not in untold:
                active[hostname] = active.get(hostname, 0) + worker.active
            if worker.clock_skew is not None:
                skew[hostname] = max(skew.get(hostname, 0.0), abs(worker.clock_skew))
        found = {
            "online_workers": whole(len(online)),
            "silent_workers": whole(silent),
            "worker_active_tasks": active,
            "worker_skew_seconds": skew,
        }
        if not untold:
            found["active_tasks"] = whole(sum(active.values()))
        return found
