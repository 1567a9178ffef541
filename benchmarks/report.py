"""How a benchmark tells its results: a table for people, then one line of JSON for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass


def quick() -> bool:
    """Whether a short run is wanted (QUICK=1): smaller sizes, the same measures; its figures say little."""
    return os.environ.get("QUICK") == "1"


@dataclass(frozen=True)
class Measure:
    """One measured figure beside its peer's, from the same run; medians of several runs.

    `ratio` is ours to the peer's, read so that more is better; `goal` says in words what `met` is about.
    """

    name: str
    value: float
    unit: str
    peer: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool = True


def report(measures: Sequence[Measure]) -> None:
    """Prints the table, and the JSON line that ends every benchmark."""
    head = ("measure", "ours", "peer", "ratio", "goal", "met")
    rows = [
        (
            f"{measure.name} ({measure.unit})",
            _figure(measure.value),
            _figure(measure.peer),
            _figure(measure.ratio),
            measure.goal,
            ("yes" if measure.met else "NO") if measure.goal else "-",
        )
        for measure in measures
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    facts = ("value", "unit", "peer", "ratio", "goal", "met")
    print(json.dumps({m.name: {fact: getattr(m, fact) for fact in facts} for m in measures}))


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
