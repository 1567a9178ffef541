"""What the documents, the rules and the dashboards say of metrics is what a running system tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.calls import eventually
from tests.support.dashboards import DASHBOARDS, expressions, metrics_in
from tests.support.metrics import scraped
from tests.support.processes import ROOT
from tests.support.prometheus import NOT_INSTALLED, PROMETHEUS, RULES, running_prometheus
from tests.support.system import System

PAGE = ROOT / "docs/prometheus.md"
# Offsets from the gateway's port (docs/standalone.md), by the job of deploy/prometheus/prometheus.yml.
OFFSETS = {"scheduler": 6, "embedder": 7, "monitor": 8, "audit": 9, "relay": 10, "door": 12}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
# A metric in the first column of the page's tables: `name{labels}`.
DOCUMENTED = re.compile(r"`((?:celery|celeriac)_[a-z_]+)(?:\{([a-z,]+)\})?`")
# What the library tells of each process, and when each counter began.
OF_LIBRARY = re.compile(r"process_.+|.+_created")
# Metrics of celery-exporter, in the part of the page about it.
PART_OF_EXPORTER = "## Coming from celery-exporter"


def ports(system: System) -> dict[str, int]:
    return {f"celeriac-{name}": system.port + offset for name, offset in OFFSETS.items()}


@pytest.fixture(scope="module")
def told(system: System) -> Mapping[str, Metric]:
    """All families of all processes."""
    return {
        family.name: family
        for port in ports(system).values()
        for family in text_string_to_metric_families(scraped(port))
    }


def names_of(told: Mapping[str, Metric]) -> set[str]:
    """The names under which Prometheus has their samples."""
    return {name + suffix for name, each in told.items() for suffix in SUFFIXES.get(each.type, ("",))}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_each_metric_of_a_dashboard_is_told(told: Mapping[str, Metric], dashboard: Path) -> None:
    asked = metrics_in("\n".join(expressions(dashboard)))
    assert len(asked) > 10
    assert asked - names_of(told) == set()


def test_each_metric_of_the_alert_rules_is_told(told: Mapping[str, Metric]) -> None:
    assert metrics_in((RULES / "celeriac.rules.yml").read_text()) - names_of(told) == set()


def test_the_page_has_each_metric_with_its_labels_and_no_other(told: Mapping[str, Metric]) -> None:
    page = PAGE.read_text().partition(PART_OF_EXPORTER)[0]
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `cel")]
    documented = {
        match[1]: set(filter(None, (match[2] or "").split(",")))
        for match in DOCUMENTED.finditer("\n".join(rows))
    }
    families = {name: each for name, each in told.items() if not OF_LIBRARY.fullmatch(name)}
    names = {f"{name}_total" if each.type == "counter" else name for name, each in families.items()}
    assert set(documented) == names
    for name, labels in documented.items():
        samples = families[name.removesuffix("_total")].samples
        assert all(set(sample.labels) - {"le"} == labels for sample in samples), name


@pytest.mark.skipif(PROMETHEUS is None, reason=NOT_INSTALLED)
def test_prometheus_answers_all_that_the_dashboards_ask(system: System, tmp_path: Path) -> None:
    with running_prometheus(tmp_path, ports(system)) as prometheus:
        for dashboard in DASHBOARDS:
            for expression in expressions(dashboard):
                prometheus.query(expression)
        up = eventually(lambda: prometheus.query("min by (component) (celeriac_component_up) == 1"))
        assert len(up) >= 5
        groups = prometheus.asked("rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
