"""How many sockets there are, and what they missed."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.door.live.endpoint import Live
from services.door.live.feeds import Feeds


class LiveMetrics(Collector):
    def __init__(self, registry: CollectorRegistry, live: Live, feeds: Feeds) -> None:
        self._live = live
        self._feeds = feeds
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("celeriac_door_sockets", "WebSockets that are open", value=self._live.sockets)
        streams = "Streams of the monitor that serve WebSockets: one for all that want the same"
        yield GaugeMetricFamily("celeriac_door_feeds", streams, value=len(self._feeds))
        left_out = "Task changes left out of WebSockets whose clients read too slowly"
        yield CounterMetricFamily("celeriac_door_skipped", left_out, value=self._feeds.left_out_total)
