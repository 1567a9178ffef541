"""Who looks at a monitor while it works: a scraper, and the readers of WatchEvents."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc, tasks_pb2
from google.protobuf.duration_pb2 import Duration
from prometheus_client.parser import text_string_to_metric_families

SCRAPE_SECONDS = 5.0
# As many dashboards: all show figures, one also a list of failures that grows.
FIGURES, FAILURES = 9, 1
LAG_SECONDS = 0.2
# How often a page with a list shows what is new of it.
PAGE = Duration(seconds=1)


def page(url: str) -> str:
    """Returns all metrics as text; an empty one if it does not answer in time."""
    try:
        with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def scrape(url: str) -> dict[str, float]:
    """Returns the sum of each metric's samples over its labels."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(page(url)):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


@contextlib.contextmanager
def scraping(url: str) -> Iterator[None]:
    """Reads all metrics each SCRAPE_SECONDS, as Prometheus does."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(SCRAPE_SECONDS):
            page(url)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass
class Lags:
    """The age of the newest event when it was taken in, looked at each LAG_SECONDS, in seconds."""

    samples: list[float] = field(default_factory=list)
    looking: bool = False
    _total: int = -1
    _changed: float = 0.0

    def look(self, metrics: monitoring_pb2.Metrics, now: float) -> None:
        """While nothing is taken in, the lag of the last event grows with the time."""
        if not self.looking:
            return
        if metrics.events_total != self._total:
            self._total, self._changed = metrics.events_total, now
        lag = metrics.event_lag.ToTimedelta().total_seconds()
        self.samples.append(lag + now - self._changed)

    def p99(self) -> float:
        ordered = sorted(self.samples)
        return ordered[int(len(ordered) * 0.99)] if ordered else float("inf")


@contextlib.contextmanager
def watching(channel: grpc.Channel, token: str) -> Iterator[Lags]:
    """The readers, each a stream with a thread of its own. One looks at the lag."""
    stub: Any = monitoring_pb2_grpc.MonitoringServiceStub(channel)
    credentials = grpc.access_token_call_credentials(token)
    lags = Lags()

    def watch(**what: Any) -> Any:
        request = monitoring_pb2.WatchEventsRequest(**what)
        return stub.WatchEvents(request, credentials=credentials)

    first = monitoring_pb2.WatchEventsRequest(without_tasks=True)
    first.metrics_interval.FromMilliseconds(int(LAG_SECONDS * 1000))
    streams = [
        stub.WatchEvents(first, credentials=credentials),
        *(watch(without_tasks=True) for _ in range(FIGURES - 1)),
        *(watch(states=[tasks_pb2.TASK_STATE_FAILURE], task_interval=PAGE) for _ in range(FAILURES)),
    ]

    def read(stream: Any, looks: bool) -> None:
        with contextlib.suppress(grpc.RpcError):
            for message in stream:
                if looks and message.HasField("metrics"):
                    lags.look(message.metrics, time.monotonic())

    threads = [
        threading.Thread(target=read, args=(stream, stream is streams[0]), daemon=True) for stream in streams
    ]
    for thread in threads:
        thread.start()
    try:
        yield lags
    finally:
        for stream in streams:
            stream.cancel()
        for thread in threads:
            thread.join()
