"""The dashboards of deploy/grafana, and what they ask Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT

DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
# What Grafana puts in place of its variables.
GIVEN = {"$__rate_interval": "1m", "$__range": "1h", "$queue": ".*", "$name": ".*"}
METRIC = re.compile(r"\b(?:celery|celeriac|process)_[a-z0-9_]+")
# Prometheus tells it of alerts; all else is of a process.
OF_RULES = "ALERTS"


def panels(dashboard: Path) -> Iterator[dict[str, Any]]:
    """All but rows."""
    yield from (panel for panel in json.loads(dashboard.read_text())["panels"] if panel["type"] != "row")


def expressions(dashboard: Path) -> Iterator[str]:
    """What the dashboard asks, with its variables filled in."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            expression: str = target["expr"]
            for variable, value in GIVEN.items():
                expression = expression.replace(variable, value)
            yield expression


def metrics_in(text: str) -> set[str]:
    """The names of metrics in it."""
    return set(METRIC.findall(text))
