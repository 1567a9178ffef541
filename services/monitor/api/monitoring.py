"""The servicer of MonitoringService: its figures and its stream."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator, Sequence

from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2_grpc

from services.kernel.durations import span_in
from services.kernel.grpc.wire import Context, duration, timestamp
from services.kernel.readers import Skipped
from services.kernel.validation import Faults
from services.monitor.alerts.alert import Alert
from services.monitor.api import references
from services.monitor.api.convert import queue_to, task_to, worker_to
from services.monitor.api.convert_alerts import alert_to
from services.monitor.figures import NamedFigures
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.tasks import Task
from services.monitor.watch.cursor import Cursor, decode_cursor
from services.monitor.watch.hub import Change, Hub, Wanted
from services.monitor.watch.pulse import Moment, Pulse
from services.monitor.workers.worker import Worker
from services.monitor.workers.workers import WorkerTable

DEFAULT_INTERVAL = dt.timedelta(seconds=1)
# Of changes of tasks, when no interval is asked for.
EACH_AS_IT_COMES = dt.timedelta()
LEAST_INTERVAL, MOST_INTERVAL = dt.timedelta(seconds=0.2), dt.timedelta(seconds=60)


class MonitoringApi(monitoring_pb2_grpc.MonitoringServiceServicer):
    def __init__(
        self, pulse: Pulse, hub: Hub[pb.WatchEventsResponse], workers: WorkerTable, pace: Pace = USUAL
    ) -> None:
        self._pulse = pulse
        self._hub = hub
        self._workers = workers
        self._sign_of_life = pace.watch_life
        # The newest figures with their message, which is built once for all readers.
        self._told: tuple[Moment, pb.Metrics] | None = None

    async def GetRealtimeMetrics(
        self, request: pb.GetRealtimeMetricsRequest, context: Context
    ) -> pb.GetRealtimeMetricsResponse:
        return pb.GetRealtimeMetricsResponse(metrics=await self._metrics())

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        wanted, interval, task_interval, after = _watched_in(request, self._workers)
        with self._hub.reading(wanted, after, task_interval) as reader:
            figures_due = quiet_since = time.monotonic()
            while True:
                now = time.monotonic()
                if now >= figures_due:
                    message = pb.WatchEventsResponse(metrics=await self._metrics())
                    # From when they are there: the first reader waits for them, and would get the same twice.
                    figures_due = time.monotonic() + interval
                else:
                    news = await reader.next(min(figures_due, quiet_since + self._sign_of_life) - now)
                    if news is None and time.monotonic() < quiet_since + self._sign_of_life:
                        continue  # figures are due
                    message = _message_of(news)
                if not message.cursor:
                    message.cursor = self._hub.cursor(reader).encode()
                quiet_since = time.monotonic()
                yield message

    async def _metrics(self) -> pb.Metrics:
        return self.told_metrics(await self._pulse.now())

    def told_metrics(self, moment: Moment) -> pb.Metrics:
        """Returns the message of these figures."""
        if self._told is None or self._told[0] is not moment:
            self._told = (moment, metrics_to(moment))
        return self._told[1]


def task_message(task: Task, cursor: Cursor) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(task=task_to(task), cursor=cursor.encode())


def tasks_message(tasks: Sequence[Task], cursor: Cursor) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse(tasks=pb.TaskChanges(tasks=map(task_to, tasks)), cursor=cursor.encode())


def worker_message(worker: Worker) -> pb.WatchEventsResponse:
    """Without a cursor: it is sent before changes that came earlier, and each reader is at another place."""
    return pb.WatchEventsResponse(worker=worker_to(worker))


def alert_message(alert: Alert) -> pb.WatchEventsResponse:
    """Without a cursor, as a worker's."""
    return pb.WatchEventsResponse(alert=alert_to(alert))


def _message_of(news: Change[pb.WatchEventsResponse] | Skipped | None) -> pb.WatchEventsResponse:
    """Returns the message of a change; all readers share one that has a cursor. None is a sign of life."""
    if isinstance(news, Skipped):
        return pb.WatchEventsResponse(left_out_count=news.count)
    if news is None:
        return pb.WatchEventsResponse()
    if news.message.cursor:
        return news.message
    own = pb.WatchEventsResponse()
    own.CopyFrom(news.message)
    return own


def _interval_in(
    request: pb.WatchEventsRequest, field: str, default: dt.timedelta, faults: Faults
) -> dt.timedelta:
    interval = span_in(request, field, faults, example="1s")
    if interval is None:
        return default
    fault = f"is {interval.total_seconds():g} s, it must be 0.2 s to 60 s"
    faults.unless(LEAST_INTERVAL <= interval <= MOST_INTERVAL, field, fault, "1s")
    return interval


def _watched_in(
    request: pb.WatchEventsRequest, workers: WorkerTable
) -> tuple[Wanted, float, float, Cursor | None]:
    """Returns what to watch, the intervals of figures and of tasks, and the cursor. Raises `Invalid`.

    Intervals are in seconds.
    """
    faults = Faults()
    interval = _interval_in(request, "metrics_interval", DEFAULT_INTERVAL, faults)
    task_interval = _interval_in(request, "task_interval", EACH_AS_IT_COMES, faults)
    states = references.states_in(request, faults)
    task_names = references.task_names_in(request, faults)
    queues = references.queues_in(request, faults)
    of_workers = references.workers_in(request, faults, workers)
    filtered = bool(states or task_names or queues or of_workers or request.ended_only)
    contradicts = request.without_tasks and filtered
    faults.unless(not contradicts, "without_tasks", "is set, and so is a filter of tasks", "false")
    pointless = request.without_tasks and bool(task_interval)
    faults.unless(not pointless, "task_interval", "is set, and so is without_tasks", "unset")
    faults.raise_any()
    wanted = Wanted(
        not request.without_tasks,
        frozenset(states),
        frozenset(task_names),
        frozenset(queues),
        frozenset(of_workers),
        request.ended_only,
    )
    return wanted, interval.total_seconds(), task_interval.total_seconds(), decode_cursor(request.cursor)


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
        task_name=figures.task,
        succeeded=figures.succeeded,
        failed=figures.failed,
        retried=figures.retried,
        p50_runtime=duration(figures.p50_runtime),
        p99_runtime=duration(figures.p99_runtime),
    )
