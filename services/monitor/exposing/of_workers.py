"""Workers, by hostname: a worker that is started again goes on in the series of the one before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from services.monitor.exposing.families import (
    Told,
    counter_by,
    gauge,
    gauge_by,
    gauge_of_each,
    single,
)
from services.monitor.exposing.newest import Newest
from services.monitor.workers.worker import WorkerRecord, WorkerState
from services.monitor.workers.workers import WorkerTable

# Those that were heard last are shown.
MOST_HOSTNAMES = 200
# One that is gone is shown as down for so long, and then no more.
SHOWN_SECONDS = 600.0


class WorkerMetrics:
    """`settled`: whether it is known which workers there are, and which queues they consume."""

    def __init__(self, workers: WorkerTable, newest: Newest, settled: Callable[[], bool]) -> None:
        self._workers, self._newest, self._settled = workers, newest, settled
        self._online = gauge("celery_active_workers", "Workers online")
        self._active = gauge("celery_active_tasks", "Tasks being run, by the workers' count")
        self._states = gauge_by("celery_workers", "Workers by state", "state")
        self._up = gauge_of_each("celery_worker_up", "1 if it is online, 0 if it is silent or gone", "worker")
        self._tasks = gauge_of_each("celery_worker_active_tasks", "Tasks being run, by its count", "worker")
        self._heard = gauge_of_each(
            "celery_worker_last_heard_seconds", "Unix time at which it was last heard", "worker"
        )
        self._skew = gauge_of_each(
            "celery_worker_clock_skew_seconds", "How far its clock is ahead of the monitor's", "worker"
        )
        self._slots = gauge_of_each(
            "celery_worker_concurrency", "How many tasks it can run at once", "worker"
        )
        self._tries = counter_by(
            "celeriac_monitor_worker_tries", "Tries that it was heard to start and to end", "worker", "status"
        )
        self._memory = gauge_of_each(
            "celery_worker_memory_bytes", "Resident memory with its pool, on the monitor's machine", "worker"
        )
        self._cpu = gauge_of_each(
            "celery_worker_cpu_percent", "CPU with its pool, 100 for one core, on the same", "worker"
        )
        self._consumers = gauge_of_each("celery_queue_consumers", "Workers that consume it", "queue")
        self._consuming_slots = gauge_of_each(
            "celery_queue_consumer_concurrency", "How many tasks its consumers can run at once", "queue"
        )

    def told(self) -> Iterator[Told]:
        yield from single(self._online, len(self._workers.online()))
        yield from single(self._active, self._workers.active())
        yield self._states, {(state.name,): n for state, n in self._workers.by_state().items()}
        yield from self._of_each(time.monotonic())
        yield self._memory, self._newest.values("worker_memory_bytes")
        yield self._cpu, self._newest.values("worker_cpu_percent")
        yield from self._of_queues()

    def _of_each(self, now: float) -> Iterator[Told]:
        shown = {
            hostname: _newest_first(records)
            for hostname, records in self._workers.heard_last(MOST_HOSTNAMES).items()
            if any(now - record.heard_at < SHOWN_SECONDS or _is_there(record) for record in records)
        }
        online = {
            hostname: [record for record in records if record.state is WorkerState.ONLINE]
            for hostname, records in shown.items()
        }
        yield self._up, {hostname: int(bool(records)) for hostname, records in online.items()}
        yield self._tasks, {hostname: sum(r.active for r in records) for hostname, records in online.items()}
        yield (
            self._slots,
            {
                hostname: slots
                for hostname, records in online.items()
                if (slots := sum(r.concurrency for r in records))
            },
        )
        since = time.time() - now
        yield self._heard, {hostname: since + records[0].heard_at for hostname, records in shown.items()}
        yield (
            self._skew,
            {
                hostname: skew
                for hostname, records in shown.items()
                if (skew := records[0].skew.seconds()) is not None
            },
        )
        yield (
            self._tries,
            {
                (hostname, state.value): count
                for hostname in shown
                for state, count in self._workers.tries.get(hostname, {}).items()
            },
        )

    def _of_queues(self) -> Iterator[Told]:
        """Of the queues that are shown with their lengths, once every worker has told its own."""
        by_queue, all_told = self._workers.consumers()
        known = all_told and self._settled()
        shown = {queue: by_queue.get(queue, ()) for queue in self._newest.values("queue_length") if known}
        yield self._consumers, {queue: len(names) for queue, names in shown.items()}
        yield (
            self._consuming_slots,
            {queue: self._workers.concurrency_of(names) for queue, names in shown.items()},
        )


def _is_there(record: WorkerRecord) -> bool:
    return record.state is not WorkerState.GONE


def _newest_first(records: Sequence[WorkerRecord]) -> Sequence[WorkerRecord]:
    return sorted(records, key=lambda record: record.heard_at, reverse=True)
