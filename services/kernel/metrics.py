"""Prometheus metrics of a service."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from services.kernel.loops import Heartbeat

if TYPE_CHECKING:
    # They load gRPC and the database's driver, which not every process has a use for.
    from services.kernel.certificates import Certificates
    from services.kernel.live_settings import LiveSettings
    from services.kernel.outbox import Outbox


class Rendered(Protocol):
    """Tells metrics as text, in Prometheus's own format or in OpenMetrics. Called in the scrape's thread."""

    def text(self, *, as_openmetrics: bool) -> str: ...


class Registry(CollectorRegistry):
    """A registry whose metrics come from collectors, and from what renders its own (`exposition.py`)."""

    def __init__(self) -> None:
        super().__init__()
        self.rendered: list[Rendered] = []


def new_registry() -> Registry:
    """Returns a registry that has the figures of this process (memory, CPU, descriptors) already."""
    registry = Registry()
    ProcessCollector(registry=registry)
    return registry


class Durations:
    """A histogram of durations in seconds, to which thousands can be added at little cost.

    `counts[i]` is the number of durations up to `bounds[i]` and above the bound before; the last count is of
    those above all bounds.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        self.counts[bisect.bisect_left(self.bounds, seconds)] += times
        self.total += seconds * times

    def buckets(self) -> list[tuple[str, float]]:
        """Returns the buckets as a `HistogramMetricFamily` takes them: (bound, cumulative count)."""
        names: Iterable[str] = (*(f"{bound:g}" for bound in self.bounds), "+Inf")
        return list(zip(names, accumulate(self.counts), strict=True))


class CallMetrics:
    """Calls by method and code, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter("celeriac_rpc_calls", "Calls answered", ["method", "code"], registry=registry)
        self.seconds = Histogram(
            "celeriac_rpc_duration_seconds",
            "From the first byte of a call to its answer",
            ["method"],
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )


def counted(counter: Counter, **labels: str) -> float:
    """Returns how much has been counted under these labels, whatever the others are."""
    return sum(
        sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and labels.items() <= sample.labels.items()
    )


class LoopMetrics(Collector):
    """When each background loop last succeeded, and how often it failed, read at each scrape."""

    def __init__(self, registry: CollectorRegistry, heartbeats: Sequence[Heartbeat]) -> None:
        self._heartbeats = heartbeats
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        succeeded = GaugeMetricFamily(
            "celeriac_loop_last_success_seconds",
            "Unix time at which a background loop last did its work; before the first time, when it was made",
            labels=["loop"],
        )
        failures = CounterMetricFamily(
            "celeriac_loop_failures", "Failures that a background loop outlived", labels=["loop"]
        )
        failing = GaugeMetricFamily(
            "celeriac_loop_failing_seconds",
            "Since when a success of a background loop is due that only fails, or does not come back; else 0",
            labels=["loop"],
        )
        for heartbeat in self._heartbeats:
            failing.add_metric([heartbeat.name], heartbeat.failing)
            succeeded.add_metric([heartbeat.name], heartbeat.last_success)
            failures.add_metric([heartbeat.name], heartbeat.failures)
        return [succeeded, failures, failing]


def follow_config(registry: CollectorRegistry, live: LiveSettings) -> None:
    """Adds a gauge of the configuration's revision.

    If two services differ in it for long, one of them can't reach the scheduler.
    """
    gauge = Gauge(
        "celeriac_config_revision",
        "The revision of the live configuration that is in force here; 0 before the first",
        registry=registry,
    )
    gauge.set_function(lambda: live.revision)


def follow_outbox(registry: CollectorRegistry, outbox: Outbox) -> None:
    """Adds a gauge of how long the oldest audit entry has waited to be delivered."""
    gauge = Gauge(
        "celeriac_audit_outbox_oldest_seconds",
        "How long the oldest audit entry has waited to be delivered; 0 if none waits",
        registry=registry,
    )
    gauge.set_function(lambda: 0.0 if outbox.oldest_at is None else max(0.0, time.time() - outbox.oldest_at))


def follow_certificate(registry: CollectorRegistry, certificates: Certificates) -> None:
    """Adds a gauge of when the certificate of this process expires: of the one that is in use."""
    gauge = Gauge(
        "celeriac_certificate_expiry_seconds",
        "Unix time at which the certificate of this process expires",
        registry=registry,
    )
    gauge.set_function(lambda: certificates.expires_at())
