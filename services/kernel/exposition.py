"""Metrics with many samples, told to Prometheus in little time.

prometheus_client makes an object of each sample, and renders its name and labels anew at each scrape: 4 µs a
sample. Of the monitor's ten thousand samples, only values change from one scrape to the next. So a `Family`
has the library render name and labels of a sample once, and adds the value at each scrape: 0.3 µs. The lines
of a histogram are made anew only when it has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from services.kernel.metrics import Durations, Registry

END = b"# EOF\n"
# Samples that have gone are forgotten when there are so many more than are shown.
MOST_GONE = 1_000

Key = TypeVar("Key")
Start = TypeVar("Start")


def encoded(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Returns all metrics, and the type of this content. `accept`: the header of the scrape."""
    encode, kind = choose_encoder(accept)
    body = encode(registry)
    if isinstance(registry, Registry):
        as_openmetrics = body.endswith(END)
        more = "".join(each.text(as_openmetrics=as_openmetrics) for each in registry.rendered)
        body = body.removesuffix(END) + more.encode() + (END if as_openmetrics else b"")
    return body, kind


class _Rendering(Generic[Key, Start]):
    """The heads of a family, and what of each sample does not change."""

    def __init__(self, empty: Metric, start_of: Callable[[Key], Start]) -> None:
        self._heads = {True: _head(openmetrics.generate_latest, empty), False: _head(generate_latest, empty)}
        self._start_of = start_of
        self._starts: dict[Key, Start] = {}

    def head(self, as_openmetrics: bool) -> str:
        return self._heads[as_openmetrics]

    def starts(self, keys: Mapping[Key, Any]) -> Iterator[Start]:
        """Yields what does not change of the sample of each key."""
        starts = self._starts
        if len(starts) > len(keys) + MOST_GONE:
            starts.clear()
        for key in keys:
            start = starts.get(key)
            if start is None:
                start = starts[key] = self._start_of(key)
            yield start


class Family(Generic[Key]):
    """A counter or gauge. `labels_of` returns the values of the labels for the key of a sample."""

    def __init__(
        self,
        kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        documentation: str,
        labels: Sequence[str],
        labels_of: Callable[[Key], Sequence[str]],
    ) -> None:
        self.name = name

        def start_of(key: Key) -> str:
            one = kind(name, documentation, labels=labels)
            one.add_metric(labels_of(key), 0)
            return _starts(one)[0]

        self._rendering = _Rendering(kind(name, documentation, labels=labels), start_of)

    def text(self, samples: Mapping[Key, float], *, as_openmetrics: bool) -> str:
        starts, values = self._rendering.starts(samples), samples.values()
        lines = [f"{start}{_value(value)}\n" for start, value in zip(starts, values, strict=True)]
        return self._rendering.head(as_openmetrics) + "".join(lines)


class HistogramFamily(Generic[Key]):
    """A histogram, of `Durations` that all have the same bounds. `labels_of`: as of `Family`."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        labels_of: Callable[[Key], Sequence[str]],
        bounds: Sequence[float],
    ) -> None:
        self.name = name
        empty = Durations(bounds)

        def lines_of(key: Key) -> str:
            """Returns the lines of all buckets, with places for their values."""
            one = HistogramMetricFamily(name, documentation, labels=labels)
            one.add_metric(labels_of(key), empty.buckets(), empty.total)
            *counts, total = (start.replace("%", "%%") for start in _starts(one))
            return "".join(f"{start}%d.0\n" for start in counts) + f"{total}%s\n"

        self._rendering = _Rendering(HistogramMetricFamily(name, documentation, labels=labels), lines_of)
        # What was told of each key, and of which counts and total.
        self._told: dict[Key, tuple[list[int], float, str]] = {}

    def text(self, samples: Mapping[Key, Durations], *, as_openmetrics: bool) -> str:
        """Most samples have not changed since the last scrape: they are told as before."""
        known = self._told
        if len(known) > len(samples) + MOST_GONE:
            known.clear()
        lines = [self._rendering.head(as_openmetrics)]
        for start, (key, durations) in zip(self._rendering.starts(samples), samples.items(), strict=True):
            told = known.get(key)
            if told is None or told[0] != durations.counts or told[1] != durations.total:
                counts = tuple(accumulate(durations.counts))
                text = start % (*counts, counts[-1], _value(durations.total))
                told = known[key] = durations.counts.copy(), durations.total, text
            lines.append(told[2])
        return "".join(lines)


def _value(value: float) -> str:
    if type(value) is int:
        return f"{value}.0"
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def _head(encode: Callable[[Collector], bytes], empty: Metric) -> str:
    return encode(_One(empty)).removesuffix(END).decode()


def _starts(one: Metric) -> list[str]:
    """Returns the lines of the samples up to their values; they are the same in both formats."""
    # Not splitlines(), for which other characters end lines, too.
    lines = generate_latest(_One(one)).decode().split("\n")
    return [line.rpartition(" ")[0] + " " for line in lines if line and not line.startswith("# ")]
