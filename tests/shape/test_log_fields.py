"""Every field that our code gives a log line is in the schema, and its events are dotted names."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.log_lines import SCHEMA

ROOT = Path(__file__).parents[2]
FIELDS = frozenset(json.loads(SCHEMA.read_text())["properties"])
EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})
# Not a field: the exception, which the field `exception` tells of.
GIVEN = frozenset({"exc_info"})


def logged() -> Iterator[tuple[str, ast.Call]]:
    """Calls of a logger, with where they are."""
    for path in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and _is_logger(node.func):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _is_logger(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(value=ast.Name(id="log"), attr=level):
            return level in LEVELS
        case ast.Name(id="say"):
            return True
        case _:
            return False


def test_there_are_calls_to_look_at() -> None:
    assert len(list(logged())) > 80


def test_every_field_is_in_the_schema() -> None:
    unknown = [
        f"{at}: {keyword.arg}"
        for at, call in logged()
        for keyword in call.keywords
        if keyword.arg is not None and keyword.arg not in FIELDS | GIVEN
    ]
    assert unknown == [], "say in services/kernel/log_schema.json what it is; one name has one type"


def test_every_event_is_a_dotted_name() -> None:
    events = [(at, call.args[0]) for at, call in logged()]
    wrong = [
        f"{at}: {event.value!r}"
        for at, event in events
        if isinstance(event, ast.Constant) and not EVENT.fullmatch(str(event.value))
    ]
    assert wrong == []


def test_every_field_of_the_schema_says_what_it_is() -> None:
    properties = json.loads(SCHEMA.read_text())["properties"]
    assert [name for name, one in properties.items() if not one["description"].endswith((".", "…"))] == []
