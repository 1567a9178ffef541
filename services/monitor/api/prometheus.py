"""The metrics for Prometheus, built from the current figures and the totals of all monitors at each scrape.

The number of labels is bounded by the figures: 200 queues, and "other" for the rest. A task whose sender
sends no task-sent events is counted under the queue "unknown".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.monitor.figures import Figures
from services.monitor.gaps.gaps import Gaps
from services.monitor.intake.intake import Intake
from services.monitor.messages.measures import Measures, QueueMeasures
from services.monitor.queues import Queue
from services.monitor.system.components import Components, Health
from services.monitor.tasks.generations import Generations
from services.monitor.totals import tally
from services.monitor.watch.hub import Hub
from services.monitor.watch.pulse import MOST_QUEUES, Pulse
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
        intake: Intake,
        generations: Generations,
        measures: QueueMeasures,
    ) -> None:
        self._measures = measures
        self._generations = generations
        self._intake = intake
        self._totals = intake.totals
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
        await self._totals.refresh()
        # None: the broker is away.
        of_all = 0 < len(queues) < MOST_QUEUES
        measures = await self._measures.of(queues, time.monotonic(), of_all=of_all)
        return [
            *self._of_tasks(),
            *_of_queues(queues, measures),
            *self._of_events(),
            *self._of_gaps(),
            *self._of_the_monitor(),
        ]

    def _of_tasks(self) -> Sequence[Metric]:
        tasks = CounterMetricFamily(
            "celery_tasks", "Tasks by queue and the state they came into", labels=["queue", "status"]
        )
        for queue, state, count in self._totals.tasks():
            tasks.add_metric([queue or UNKNOWN_QUEUE, state.value], count)
        seconds = HistogramMetricFamily(
            "celery_task_duration_seconds", "How long tries of tasks ran, failed ones too", labels=["queue"]
        )
        for queue, durations in self._totals.durations().items():
            seconds.add_metric([queue or UNKNOWN_QUEUE], durations.buckets(), durations.total)
        return [
            tasks,
            seconds,
            _gauge("celery_active_workers", "Workers online", len(self._workers.online())),
            _gauge("celery_active_tasks", "Tasks being run, by the workers' count", self._workers.active()),
        ]

    def _of_events(self) -> Sequence[Metric]:
        figures, totals = self._figures, self._totals
        found = [
            _counter("celery_events", "Events taken in", totals.events_total),
            _counter("celery_events_lost", "Events known to be lost", totals.events_lost),
            _counter("celery_events_refused", "Events that could not be read", totals.of(tally.REFUSED)),
            _counter("celery_event_stream_cuts", "Gaps in the events", totals.of(tally.CUTS)),
            _counter("celery_event_messages_missing", "Lost before read", totals.of(tally.MISSING)),
            _gauge("celery_event_stream_up", "1 while events are heard", figures.listening),
        ]
        if figures.event_lag is not None:
            found.append(_gauge("celery_event_lag_seconds", "Age of the newest event", figures.event_lag))
        return found

    def _of_gaps(self) -> Sequence[Metric]:
        totals = self._totals
        repaired = CounterMetricFamily(
            "celery_event_gap_tasks_repaired", "Tasks put right after a gap, by what told", labels=["source"]
        )
        for source in (tally.BY_RESULTS, tally.BY_WORKERS):
            repaired.add_metric([source], totals.of((tally.REPAIRED, source, "")))
        return [
            _counter("celery_event_gaps", "Gaps in the events that were recorded", totals.of(tally.GAPS)),
            _gauge("celery_event_gaps_open", "Gaps that are not repaired yet", self._gaps.open),
            repaired,
            _counter(
                "celery_event_gap_tasks_not_repairable",
                "Tasks that ended in a gap, and how is not known",
                totals.of((tally.REPAIRED, tally.BY_NOTHING, "")),
            ),
        ]

    def _of_the_monitor(self) -> Sequence[Metric]:
        up = GaugeMetricFamily("celeriac_component_up", "0 where it does not work", labels=["component"])
        for component in self._components.all():
            up.add_metric([component.name], component.health is not Health.UNHEALTHY)
        figures = self._figures
        dropped = CounterMetricFamily(
            "celeriac_monitor_generations_dropped", "Generations of tasks, by the reason", labels=["reason"]
        )
        for reason, count in self._generations.dropped.items():
            dropped.add_metric([reason], count)
        return [
            up,
            dropped,
            _gauge("celeriac_monitor_tasks_bytes", "Bytes of stored tasks", self._generations.bytes),
            _gauge("celeriac_monitor_writes", "1 for the one that writes", self._intake.writes),
            _gauge("celeriac_monitor_watchers", "Readers of WatchEvents", self._hub.readers),
            _counter(
                "celeriac_monitor_skipped", "Task changes left out of WatchEvents", self._hub.left_out_total
            ),
            _gauge("celeriac_monitor_tasks_waiting", "Tasks to be written", figures.tasks_waiting),
            _counter("celeriac_monitor_tasks_dropped", "Tasks never written", figures.tasks_dropped),
            _counter("celeriac_monitor_rows_written", "Rows written", figures.rows_written),
        ]


def _of_queues(queues: Sequence[Queue], measures: Measures) -> Sequence[Metric]:
    flows = measures.flows
    told: Sequence[tuple[str, str, Mapping[str, float]]] = [
        ("length", "Messages that wait", {queue.name: queue.length for queue in queues}),
        (
            "unacknowledged",
            "Messages that workers hold",
            {queue.name: queue.unacknowledged for queue in queues},
        ),
        (
            "waiting_for_eta",
            "Messages that workers hold until their time has come",
            {queue.name: queue.waiting_for_eta for queue in queues},
        ),
        ("oldest_seconds", "Since when the oldest of the next messages waits", measures.oldest),
        (
            "arrivals_per_second",
            "Messages that came, within the last minute",
            {name: flow.arrivals for name, flow in flows.items()},
        ),
        (
            "deliveries_per_second",
            "Messages that workers took, within the last minute",
            {name: flow.deliveries for name, flow in flows.items()},
        ),
        ("consumers", "Workers that consume it", measures.consumers),
    ]
    return [_by_queue(f"celery_queue_{name}", text, values) for name, text, values in told]


def _by_queue(name: str, documentation: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["queue"])
    for queue, value in values.items():
        family.add_metric([queue], value)
    return family


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _counter(name: str, documentation: str, value: float) -> Metric:
    return CounterMetricFamily(name, documentation, value=value)
