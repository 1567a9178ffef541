"""The metrics for Prometheus, built from the current figures at each scrape.

The number of labels is bounded by the figures: 200 queues, and "other" for the rest. A task whose sender
sends no task-sent events is counted under the queue "unknown".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.monitor.figures import Figures
from services.monitor.gaps.gaps import Gaps
from services.monitor.queues import Queue
from services.monitor.system.components import Components, Health
from services.monitor.watch.hub import Hub
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.workers import WorkerTable

UNKNOWN_QUEUE = "unknown"
ANSWER_SECONDS = 5.0


class MonitorCollector(Collector):
    """Reads the figures on the event loop that writes them, since each scrape runs in another thread.

    Construct it on that event loop.
    """

    def __init__(
        self,
        figures: Figures,
        workers: WorkerTable,
        pulse: Pulse,
        components: Components,
        hub: Hub[Any],
        gaps: Gaps,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._figures = figures
        self._workers = workers
        self._pulse = pulse
        self._components = components
        self._hub = hub
        self._gaps = gaps

    def collect(self) -> Iterable[Metric]:
        return asyncio.run_coroutine_threadsafe(self._collect(), self._loop).result(ANSWER_SECONDS)

    async def _collect(self) -> list[Metric]:
        queues = await self._pulse.queues()
        return [
            *self._of_tasks(),
            *_of_queues(queues),
            *self._of_events(),
            *self._of_gaps(),
            *self._of_the_monitor(),
        ]

    def _of_tasks(self) -> Sequence[Metric]:
        tasks = CounterMetricFamily(
            "celery_tasks", "Tasks by queue and the state they came into", labels=["queue", "status"]
        )
        for (queue, state), count in self._figures.by_queue.items():
            tasks.add_metric([queue or UNKNOWN_QUEUE, state.value], count)
        seconds = HistogramMetricFamily(
            "celery_task_duration_seconds", "How long tries of tasks ran, failed ones too", labels=["queue"]
        )
        for queue, durations in self._figures.durations.items():
            seconds.add_metric([queue or UNKNOWN_QUEUE], durations.buckets(), durations.total)
        return [
            tasks,
            seconds,
            _gauge("celery_active_workers", "Workers online", len(self._workers.online())),
            _gauge("celery_active_tasks", "Tasks being run, by the workers' count", self._workers.active()),
        ]

    def _of_events(self) -> Sequence[Metric]:
        figures = self._figures
        found = [
            _counter("celery_events", "Events taken in", figures.events_total),
            _counter("celery_events_lost", "Events known to be lost", figures.events_lost),
            _counter("celery_events_refused", "Events that could not be read", figures.events_refused),
            _counter("celery_event_stream_cuts", "Gaps in the events", figures.stream_cuts),
            _counter("celery_event_messages_missing", "Lost before they were read", figures.messages_missing),
            _gauge("celery_event_stream_up", "1 while events are heard", figures.listening),
        ]
        if figures.event_lag is not None:
            found.append(_gauge("celery_event_lag_seconds", "Age of the newest event", figures.event_lag))
        return found

    def _of_gaps(self) -> Sequence[Metric]:
        gaps, repairs = self._gaps, self._gaps.repairs
        repaired = CounterMetricFamily(
            "celery_event_gap_tasks_repaired", "Tasks put right after a gap, by what told", labels=["source"]
        )
        repaired.add_metric(["results"], repairs.from_results)
        repaired.add_metric(["workers"], repairs.from_workers)
        return [
            _counter("celery_event_gaps", "Gaps in the events that were recorded", gaps.recorded),
            _gauge("celery_event_gaps_open", "Gaps that are not repaired yet", gaps.open),
            repaired,
            _counter(
                "celery_event_gap_tasks_not_repairable",
                "Tasks that ended in a gap, and how is not known",
                repairs.not_repairable,
            ),
        ]

    def _of_the_monitor(self) -> Sequence[Metric]:
        up = GaugeMetricFamily("celeriac_component_up", "0 where it does not work", labels=["component"])
        for component in self._components.all():
            up.add_metric([component.name], component.health is not Health.UNHEALTHY)
        figures = self._figures
        return [
            up,
            _gauge("celeriac_monitor_watchers", "Readers of WatchEvents", self._hub.readers),
            _counter(
                "celeriac_monitor_skipped", "Task changes left out of WatchEvents", self._hub.left_out_total
            ),
            _gauge("celeriac_monitor_tasks_waiting", "Tasks to be written", figures.tasks_waiting),
            _counter("celeriac_monitor_tasks_dropped", "Tasks never written", figures.tasks_dropped),
            _counter("celeriac_monitor_rows_written", "Rows written", figures.rows_written),
        ]


def _of_queues(queues: Sequence[Queue]) -> Sequence[Metric]:
    length = GaugeMetricFamily("celery_queue_length", "Messages that wait", labels=["queue"])
    held = GaugeMetricFamily("celery_queue_unacknowledged", "Messages that workers hold", labels=["queue"])
    for queue in queues:
        length.add_metric([queue.name], queue.length)
        held.add_metric([queue.name], queue.unacknowledged)
    return [length, held]


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(name, documentation, value=value)
