"""How statements are executed: in no way that a cancelled call could hang in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# asyncpg's ways to execute one statement for many rows. Cancelled while it waits to send more, such a call
# never ends, and keeps its connection with all that it has locked (docs/decisions/kernel-locks.md). By
# SQLAlchemy's sessions none of them can be reached: services/kernel/sessions.py refuses lists of parameters.
MANY = {"executemany", "fetchmany", "bulk_insert"}


def used(source: str) -> Iterator[int]:
    """The lines that use one of them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in MANY:
            yield node.lineno


def test_no_statement_is_executed_for_many_rows_by_the_drivers_own_loop() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("services", "deploy", "clients/python/src")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in used(path.read_text())
    ]
    assert found == []


def test_what_is_used_is_found() -> None:
    assert sorted(used("async def f(c):\n    await c.executemany('', [])\n    many = c.fetchmany\n")) == [
        2,
        3,
    ]
