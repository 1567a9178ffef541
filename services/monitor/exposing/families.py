"""Families of metrics, and what their samples are at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from services.kernel.exposition import Family, HistogramFamily
from services.kernel.metrics import Durations

# A family, and its samples by their keys.
Told: TypeAlias = (
    tuple[Family[Any], Mapping[Any, float]] | tuple[HistogramFamily[Any], Mapping[Any, Durations]]
)
SingleFamily: TypeAlias = Family[tuple[()]]


class Part(Protocol):
    """Tells families from what is in memory: a scrape must not wait for a broker or a database."""

    def told(self) -> Iterator[Told]: ...


def _as_they_are(labels: Sequence[str]) -> Sequence[str]:
    return labels


def _only(label: str) -> Sequence[str]:
    return (label,)


def counter(name: str, documentation: str) -> SingleFamily:
    """A counter without labels; its name as Prometheus shows it is `name` with "_total"."""
    return Family(CounterMetricFamily, name, documentation, (), _as_they_are)


def gauge(name: str, documentation: str) -> SingleFamily:
    return Family(GaugeMetricFamily, name, documentation, (), _as_they_are)


def counter_by(name: str, documentation: str, *labels: str) -> Family[Sequence[str]]:
    """A counter whose samples have the values of the labels as their keys."""
    return Family(CounterMetricFamily, name, documentation, labels, _as_they_are)


def gauge_by(name: str, documentation: str, *labels: str) -> Family[Sequence[str]]:
    return Family(GaugeMetricFamily, name, documentation, labels, _as_they_are)


def gauge_of_each(name: str, documentation: str, label: str) -> Family[str]:
    """A gauge with one label, whose value is the key of the sample."""
    return Family(GaugeMetricFamily, name, documentation, (label,), _only)


def single(family: SingleFamily, value: float | None) -> Iterator[Told]:
    """Yields a family without labels, and without a sample if its value is not known."""
    yield family, {} if value is None else {(): value}
