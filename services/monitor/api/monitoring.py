"""The servicer of MonitoringService."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator

from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2_grpc

from services.kernel.durations import span_in
from services.kernel.grpc.wire import Context, duration, timestamp
from services.kernel.readers import Skipped
from services.kernel.validation import Faults
from services.monitor.api.convert import STATES_FROM_WIRE, task_to, worker_to
from services.monitor.api.queues import queue_to
from services.monitor.figures import NamedFigures
from services.monitor.tasks.tasks import MOST_NAME, Task
from services.monitor.watch.hub import Hub, Wanted
from services.monitor.watch.pulse import Moment, Pulse
from services.monitor.workers.workers import Worker

DEFAULT_INTERVAL = dt.timedelta(seconds=1)
LEAST_INTERVAL, MOST_INTERVAL = dt.timedelta(seconds=0.2), dt.timedelta(seconds=60)


class MonitoringApi(monitoring_pb2_grpc.MonitoringServiceServicer):
    def __init__(self, pulse: Pulse, hub: Hub[pb.WatchResponse]) -> None:
        self._pulse = pulse
        self._hub = hub
        # The newest figures with their message, which is built once for all readers.
        self._told: tuple[Moment, pb.Metrics] | None = None

    async def GetRealtimeMetrics(
        self, request: pb.GetRealtimeMetricsRequest, context: Context
    ) -> pb.GetRealtimeMetricsResponse:
        return pb.GetRealtimeMetricsResponse(metrics=self._metrics())

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchResponse]:
        wanted, interval = _wanted_in(request)
        with self._hub.reading(wanted) as reader:
            due = time.monotonic()
            while True:
                if time.monotonic() >= due:
                    due = time.monotonic() + interval
                    yield pb.WatchResponse(metrics=self._metrics())
                news = await reader.next(due - time.monotonic())
                if news is not None:
                    yield pb.WatchResponse(skipped_tasks=news.count) if isinstance(news, Skipped) else news

    def _metrics(self) -> pb.Metrics:
        moment = self._pulse.now()
        if self._told is None or self._told[0] is not moment:
            self._told = (moment, metrics_to(moment))
        return self._told[1]


def task_message(task: Task) -> pb.WatchResponse:
    return pb.WatchResponse(task=task_to(task))


def worker_message(worker: Worker) -> pb.WatchResponse:
    return pb.WatchResponse(worker=worker_to(worker))


def _wanted_in(request: pb.WatchRequest) -> tuple[Wanted, float]:
    """Returns what to watch, and the interval between figures in seconds. Raises `Invalid`."""
    faults = Faults()
    interval = span_in(request, "metrics_interval", faults, example="1s")
    if interval is None:
        interval = DEFAULT_INTERVAL
    sound = LEAST_INTERVAL <= interval <= MOST_INTERVAL
    fault = f"is {interval.total_seconds():g} s, it must be 0.2 s to 60 s"
    faults.unless(sound, "metrics_interval", fault, "1s")
    faults.text("task", request.task, "rebuild_chat_vectors", most=MOST_NAME, required=False)
    faults.text("queue", request.queue, "ai_analysis", most=MOST_NAME, required=False)
    known = request.state == 0 or request.state in STATES_FROM_WIRE
    faults.unless(known, "state", f"is {request.state}, not a TaskState", "TASK_STATE_FAILURE")
    filtered = bool(request.task or request.queue or request.state or request.ended_only)
    contradicts = request.without_tasks and filtered
    faults.unless(not contradicts, "without_tasks", "is set, and so is a filter of tasks", "false")
    faults.raise_any()
    state = STATES_FROM_WIRE.get(request.state)
    tasks = not request.without_tasks
    wanted = Wanted(tasks, request.task, request.queue, state, request.ended_only)
    return wanted, interval.total_seconds()


def metrics_to(moment: Moment) -> pb.Metrics:
    snapshot = moment.snapshot
    return pb.Metrics(
        time=timestamp(dt.datetime.fromtimestamp(moment.taken_at, dt.UTC)),
        events_per_second=snapshot.events_per_second,
        succeeded_per_second=snapshot.succeeded_per_second,
        failed_per_second=snapshot.failed_per_second,
        active_tasks=moment.active_tasks,
        online_workers=moment.online_workers,
        events_total=snapshot.events_total,
        events_lost=snapshot.events_lost,
        event_lag=duration(snapshot.event_lag),
        queues=map(queue_to, moment.queues),
        tasks=map(_task_metrics_to, snapshot.tasks),
    )


def _task_metrics_to(figures: NamedFigures) -> pb.TaskMetrics:
    return pb.TaskMetrics(
        task=figures.task,
        succeeded=figures.succeeded,
        failed=figures.failed,
        retried=figures.retried,
        p50_runtime=duration(figures.p50_runtime),
        p99_runtime=duration(figures.p99_runtime),
    )
