"""A Duration that comes in is read in one place: one rule holds for all (services/kernel/durations.py)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ_HERE = "services/kernel/durations.py"
# They read what another service has measured, in microseconds.
MEASURED = {"services/scheduler/runs/monitor_client.py"}
READS = {
    "nanos",
    "ToTimedelta",
    "ToSeconds",
    "ToMilliseconds",
    "ToMicroseconds",
    "ToNanoseconds",
    "ToJsonString",
}


def test_no_other_module_reads_a_duration() -> None:
    readers = {
        str(module.relative_to(ROOT))
        for module in (ROOT / "services").rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in READS
    }
    assert readers == {READ_HERE, *MEASURED}
