"""Exceptions go into the log by `for_log` alone, which knows what of their texts may be there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
MODULES = sorted((ROOT / "services").rglob("*.py"))


def faults(source: str) -> list[int]:
    """The lines on which a call of `log` has an exception's own text: str(error), repr(error), f"{error}"."""
    tree = ast.parse(source)
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    caught |= {"error", "exception", "fault"}

    def is_log(call: ast.Call) -> bool:
        function = call.func
        return (
            isinstance(function, ast.Attribute)
            and function.attr in LEVELS
            and isinstance(function.value, ast.Name)
            and function.value.id in {"log", "logger"}
        )

    def is_text_of_error(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"str", "repr"}:
            shown = [inner for argument in node.args for inner in ast.walk(argument)]
        elif isinstance(node, ast.FormattedValue):
            shown = list(ast.walk(node.value))
        else:
            return False
        return any(isinstance(one, ast.Name) and one.id in caught for one in shown)

    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_log(node)]
    return [call.lineno for call in calls if any(map(is_text_of_error, ast.walk(call)))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_the_log_has_an_exceptions_own_text(path: Path) -> None:
    assert faults(path.read_text()) == []


def test_the_check_finds_each_form() -> None:
    source = """
try:
    work()
except OSError as failure:
    log.warning("a", error=str(failure)[:300])
    log.warning("b", error=repr(failure))
    log.warning("c", error=f"{failure}!")
    log.warning("d", error=for_log(failure), count=str(3))
"""
    assert faults(source) == [5, 6, 7]
