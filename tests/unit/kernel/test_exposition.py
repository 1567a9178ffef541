"""Metrics that are rendered once read as the library renders them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.kernel.exposition import MOST_GONE, Family, HistogramFamily, encoded
from services.kernel.metrics import Durations, Registry

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
BOUNDS = (0.1, 1.0, 10.0)
LABELS = st.tuples(st.text(), st.text())
NUMBERS = st.one_of(st.integers(0, 2**53), st.floats(0, allow_nan=False))


class Only(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def as_they_are(labels: Sequence[str]) -> Sequence[str]:
    return labels


def openmetrics_of(metric: Metric) -> str:
    # The library's module has no types.
    text: str = generate_openmetrics(Only(metric)).decode()  # type: ignore[no-untyped-call]
    return text


def values_of(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of a text in OpenMetrics, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


@given(
    st.dictionaries(LABELS, NUMBERS, max_size=4), st.sampled_from([CounterMetricFamily, GaugeMetricFamily])
)
def test_a_family_reads_as_the_librarys_own(
    samples: dict[Sequence[str], float], kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
) -> None:
    theirs = kind("celery_x", "Ways \\ and\nmeans", labels=["one", "two"])
    for labels, value in samples.items():
        theirs.add_metric(labels, float(value))
    family = Family(kind, "celery_x", "Ways \\ and\nmeans", ["one", "two"], as_they_are)
    for _ in range(2):
        ours = family.text(samples, as_openmetrics=True) + "# EOF\n"
        assert values_of(ours) == values_of(openmetrics_of(theirs))
        plain = family.text(samples, as_openmetrics=False).split("\n")
        assert [line.rpartition(" ")[0] for line in plain] == [
            line.rpartition(" ")[0] for line in generate_latest(Only(theirs)).decode().split("\n")
        ]


@given(st.dictionaries(LABELS, st.lists(st.floats(0, 100)), max_size=3))
def test_a_histogram_reads_as_the_librarys_own(told: dict[tuple[str, str], list[float]]) -> None:
    theirs = HistogramMetricFamily("celery_x_seconds", "Means", labels=["one", "two"])
    samples: dict[Sequence[str], Durations] = {}
    for labels, seconds in told.items():
        samples[labels] = durations = Durations(BOUNDS)
        for each in seconds:
            durations.add(each)
        theirs.add_metric(labels, durations.buckets(), durations.total)
    family = HistogramFamily("celery_x_seconds", "Means", ["one", "two"], as_they_are, BOUNDS)
    for _ in range(2):
        ours = family.text(samples, as_openmetrics=True) + "# EOF\n"
        assert values_of(ours) == values_of(openmetrics_of(theirs))


def test_of_a_histogram_only_what_has_changed_is_told_anew() -> None:
    family = HistogramFamily("celery_x_seconds", "Means", ["one"], as_they_are, BOUNDS)
    samples: dict[Sequence[str], Durations] = {("a",): Durations(BOUNDS), ("b",): Durations(BOUNDS)}
    told = family.text(samples, as_openmetrics=False)
    for seconds in (0.5, 0.0):
        samples["b",].add(seconds)
        before, told = told, family.text(samples, as_openmetrics=False)
        anew = HistogramFamily("celery_x_seconds", "Means", ["one"], as_they_are, BOUNDS)
        assert told == anew.text(samples, as_openmetrics=False) != before
    del samples["a",]
    assert '"a"' not in family.text(samples, as_openmetrics=False)


def test_samples_that_have_gone_are_told_no_more_and_are_forgotten() -> None:
    family = Family(GaugeMetricFamily, "celery_x", "X", ["one"], as_they_are)
    for number in range(2 * MOST_GONE):
        text = family.text({(str(number),): 1}, as_openmetrics=False)
        assert text.splitlines()[2:] == [f'celery_x{{one="{number}"}} 1.0']
    assert len(family._rendering._starts) <= MOST_GONE + 2


class Told:
    def text(self, *, as_openmetrics: bool) -> str:
        family = Family(GaugeMetricFamily, "celery_x", "X", ["one"], as_they_are)
        return family.text({("a",): 2}, as_openmetrics=as_openmetrics)


def test_what_is_rendered_stands_beside_what_is_collected_in_both_formats() -> None:
    registry = Registry()
    Counter("celery_y", "Y", registry=registry).inc()
    registry.rendered.append(Told())
    body, kind = encoded(registry, "")
    assert kind.startswith("text/plain")
    assert b'celery_x{one="a"} 2.0\n' in body and b"celery_y_total 1.0\n" in body and b"EOF" not in body
    body, kind = encoded(registry, OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    assert values_of(body.decode())["celery_x", frozenset({("one", "a")})] == 2
    assert body.count(b"# EOF\n") == 1 and body.endswith(b"# EOF\n")


def test_a_registry_of_the_library_is_told_as_it_is() -> None:
    registry = CollectorRegistry()
    Counter("celery_y", "Y", registry=registry).inc()
    assert encoded(registry, "")[0] == generate_latest(registry)
