"""The command `relay`: copies the broker's events into the stream that monitors read."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.kernel import broker, process
from services.kernel.metrics import new_registry
from services.monitor.intake.kept_events import opened_stream
from services.monitor.intake.relay import EventRelay
from services.monitor.intake.subscription import EventSource
from services.monitor.pace import Pace
from services.monitor.settings import MonitorSettings

NO_STREAM = (
    "the relay needs CELERIAC_RELAY_URL, a Redis or Valkey of its own to keep events in;"
    " for example CELERIAC_RELAY_URL=redis://relay:6379/0"
)


async def relay(settings: MonitorSettings) -> None:
    """Raises SystemExit if no stream is set."""
    async with opened_stream(settings.relay_url) as stream:
        if stream is None:
            raise SystemExit(NO_STREAM)
        source = EventSource(broker.broker_address(settings), settings.key_prefix)
        copying = EventRelay(source, stream, settings.relay_bytes, Pace().times(settings.pace))
        registry = new_registry()
        registry.register(_Collector(copying))
        checks = {"events": copying.check, "stream": stream.alive}
        await process.run_alone(settings, registry, [copying], checks)


class _Collector(Collector):
    def __init__(self, relay: EventRelay) -> None:
        self._relay = relay

    def collect(self) -> Iterator[Metric]:
        relay = self._relay
        yield CounterMetricFamily("celeriac_relay_messages", "Messages copied", value=relay.copied)
        yield CounterMetricFamily("celeriac_relay_gaps", "Times without a subscription", value=relay.gaps)
        yield GaugeMetricFamily("celeriac_relay_up", "1 while events are heard", value=relay.listening)
        yield GaugeMetricFamily(
            "celeriac_relay_buffered_bytes", "Of messages that wait to be copied", value=relay.buffered
        )
