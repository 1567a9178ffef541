"""The answers of GetMetrics and GetDashboard: many parts in one answer, each of which may be missing."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import psutil
from celeriac.monitor.v1 import monitoring_pb2, system_pb2, tasks_pb2

from services.kernel.database import Database
from services.kernel.errors import CeleriacError
from services.kernel.grpc.wire import timestamp
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.api import event_gaps
from services.monitor.api.convert import STATES, queue_to, task_to, worker_to
from services.monitor.gaps.gap import EventGap, GapState
from services.monitor.gaps.store_gaps import GapStore
from services.monitor.search.store_search import TaskSearch
from services.monitor.system.host import Host, HostFigures
from services.monitor.system.next_runs import NextRun, NextRuns
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_lists import Lists
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.totals.totals import Totals
from services.monitor.watch.pulse import Moment, Pulse
from services.monitor.workers.worker import Worker, WorkerState
from services.monitor.workers.workers import WorkerTable

PART_SECONDS = 3.0
MOST_WORKERS, MOST_FAILURES, MOST_RUNS, MOST_GAPS = 100, 10, 10, 10
NO_BROKER = "the broker can't be reached: lengths of queues are not known"
NO_DATABASE = "the database can't be reached now"

Part = TypeVar("Part")


@dataclass
class Missing:
    """The parts of one answer that could not be had, each with the reason."""

    parts: dict[str, str] = field(default_factory=dict)

    async def have(self, name: str, part: Awaitable[Part]) -> Part | None:
        """Returns the part; None if it can't be had in PART_SECONDS, and notes why."""
        try:
            async with asyncio.timeout(PART_SECONDS) as limit:
                return await part
        except CeleriacError as error:
            self.parts[name] = error.message
        except (psutil.Error, OSError, *DATABASE_ERRORS) as error:
            late = isinstance(error, TimeoutError) and limit.expired()
            waited = f"it was not known within {PART_SECONDS:g} s"
            self.parts[name] = waited if late else self._fault(name, error)
        return None

    def queues(self, moment: Moment | None) -> None:
        if moment is not None and not moment.queues_known:
            self.parts["queues"] = NO_BROKER

    def messages(self) -> list[system_pb2.MissingPart]:
        return [system_pb2.MissingPart(part=name, reason=why) for name, why in self.parts.items()]

    @staticmethod
    def _fault(name: str, error: BaseException) -> str:
        return f"the machine can't be looked at: {error}" if name == "host" else NO_DATABASE


class FrontPage:
    """Gathers the parts, all at the same time."""

    def __init__(
        self,
        pulse: Pulse,
        totals: Totals,
        workers: WorkerTable,
        database: Database,
        lists: Lists,
        next_runs: NextRuns,
        host: HostFigures,
    ) -> None:
        self._pulse = pulse
        self._totals = totals
        self._workers = workers
        self._database = database
        self._lists = lists
        self._next_runs = next_runs
        self._host = host

    async def metrics(self) -> system_pb2.GetMetricsResponse:
        missing = Missing()
        host, moment = await asyncio.gather(
            missing.have("host", self._host.now()), missing.have("celery", self._pulse.now())
        )
        missing.queues(moment)
        return system_pb2.GetMetricsResponse(
            host=None if host is None else host_to(host),
            celery=None if moment is None else self._celery(moment),
            missing_parts=missing.messages(),
        )

    async def fill(
        self, answer: monitoring_pb2.GetDashboardResponse, metrics: Callable[[Moment], monitoring_pb2.Metrics]
    ) -> None:
        """Sets all parts but the health, which is known. `metrics` converts the figures of a moment."""
        missing = Missing()
        moment, host, failures, runs, gaps = await asyncio.gather(
            missing.have("metrics", self._pulse.now()),
            missing.have("host", self._host.now()),
            missing.have("recent_failures", self._failures()),
            missing.have("next_runs", self._next_runs.soonest(MOST_RUNS)),
            missing.have("open_gaps", self._gaps()),
        )
        missing.queues(moment)
        there = [worker for worker in self._workers.all() if worker.state is not WorkerState.GONE]
        busiest = sorted(there, key=_busiest_first)[:MOST_WORKERS]
        answer.time.FromDatetime(dt.datetime.now(dt.UTC))
        if moment is not None:
            answer.metrics.CopyFrom(metrics(moment))
        if host is not None:
            answer.host.CopyFrom(host_to(host))
        answer.workers.extend(map(worker_to, busiest))
        answer.worker_count = len(there)
        answer.recent_failures.extend(map(task_to, failures or ()))
        answer.next_runs.extend(map(_run_to, runs or ()))
        answer.open_gaps.extend(map(event_gaps.gap_to, gaps or ()))
        answer.missing_parts.extend(missing.messages())

    async def _failures(self) -> Sequence[Task]:
        async with self._lists.reading() as session:
            wanted = TaskFilter(states=[TaskState.FAILURE])
            return await TaskSearch(session).list(wanted, None, MOST_FAILURES)

    async def _gaps(self) -> Sequence[EventGap]:
        async with self._database.reading() as connection:
            return await GapStore(connection).list([GapState.OPEN], None, MOST_GAPS)

    def _celery(self, moment: Moment) -> system_pb2.CeleryMetrics:
        by_state: Counter[tasks_pb2.TaskState] = Counter()
        for _, state, count in self._totals.tasks():
            by_state[STATES[state]] += count
        snapshot = moment.snapshot
        return system_pb2.CeleryMetrics(
            tasks=[
                system_pb2.TaskStateCount(state=state, count=count)
                for state, count in sorted(by_state.items())
                if count
            ],
            active_tasks=moment.active_tasks,
            waiting_messages=sum(queue.length for queue in moment.queues),
            online_workers=moment.online_workers,
            silent_workers=len(self._workers.there()) - len(self._workers.online()),
            queues=map(queue_to, moment.queues),
            events_per_second=snapshot.events_per_second,
            succeeded_per_second=snapshot.succeeded_per_second,
            failed_per_second=snapshot.failed_per_second,
        )


def host_to(host: Host) -> system_pb2.HostMetrics:
    return system_pb2.HostMetrics(
        hostname=host.hostname,
        sample_time=timestamp(host.sampled_at),
        cpu_count=host.cpu_count,
        cpu_percent=round(host.cpu_percent, 1),
        load_average=host.load_average,
        memory_total_bytes=host.memory_total,
        memory_available_bytes=host.memory_available,
        swap_total_bytes=host.swap_total,
        swap_used_bytes=host.swap_used,
        disks=[
            system_pb2.DiskMetrics(path=disk.path, total_bytes=disk.total, free_bytes=disk.free)
            for disk in host.disks
        ],
        network_received_bytes=host.received,
        network_sent_bytes=host.sent,
        network_received_per_second=round(host.received_per_second, 1),
        network_sent_per_second=round(host.sent_per_second, 1),
        boot_time=timestamp(host.booted_at),
    )


def _run_to(run: NextRun) -> monitoring_pb2.NextRun:
    return monitoring_pb2.NextRun(
        schedule=run.schedule, task_name=run.task, next_run_time=timestamp(run.due_at)
    )


def _busiest_first(worker: Worker) -> tuple[int, str]:
    return -worker.active, str(worker.name)
