"""Prometheus metrics of dispatching."""

from __future__ import annotations

import datetime as dt
from collections import Counter as Counted
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.kernel.metrics import Durations
from services.scheduler.dispatch.batches import PendingRun

LATENESS_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)


class DispatchMetrics(Collector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs = Counter("celeriac_scheduler_runs", "Due times decided", ["state"], registry=registry)
        self.left_out = Gauge(
            "celeriac_scheduler_schedules_left_out",
            "Schedules that are left out because the scheduler's own code fails on them, once for each loop",
            registry=registry,
        )
        self.own_faults = Counter(
            "celeriac_scheduler_own_faults",
            "Times that the scheduler's own code failed on a schedule",
            registry=registry,
        )
        self._lateness = Durations(LATENESS_BOUNDS)
        registry.register(self)

    def published(self, runs: Sequence[PendingRun], at: dt.datetime) -> None:
        self.runs.labels("published").inc(len(runs))
        for wanted_at, count in Counted(run.wanted_at for run in runs).items():
            if wanted_at is not None:
                self._lateness.add(max(0.0, (at - wanted_at).total_seconds()), count)

    def collect(self) -> Iterable[Metric]:
        lateness = HistogramMetricFamily(
            "celeriac_scheduler_lateness_seconds", "From a due time to its message on the queue"
        )
        lateness.add_metric([], self._lateness.buckets(), self._lateness.total)
        return [lateness]
