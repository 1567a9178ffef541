"""A loop in a task group runs `to_the_end`: the group cancels it once only (services/kernel/endings.py)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "services").rglob("*.py"))


def bare_loops(source: str) -> Iterator[int]:
    """The lines on which a group gets a task that is something's `run()` itself."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "create_task"
            and node.args
            and isinstance(work := node.args[0], ast.Call)
            and isinstance(work.func, ast.Attribute)
            and work.func.attr == "run"
        ):
            yield node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_loop_in_a_group_runs_to_the_end(path: Path) -> None:
    assert list(bare_loops(path.read_text())) == []


def test_the_check_finds_a_bare_loop() -> None:
    source = "group.create_task(loop.run())\ngroup.create_task(to_the_end(loop.run()))\n"
    assert list(bare_loops(source)) == [1]
