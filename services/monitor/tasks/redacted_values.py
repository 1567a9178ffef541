"""Replaces secrets in values that are there whole: a stored result, with its lists and objects.

The rules are those of texts (redaction.py): a value is secret by the name before it, or by its own shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.monitor.tasks.secret_names import Kind, SecretNames
from services.monitor.tasks.secret_shapes import REDACTED
from services.monitor.tasks.secret_values import EMPTY, is_number


def without_secrets(value: Any, names: SecretNames, text: Callable[[str], str]) -> Any:
    """Returns a JSON value with secrets replaced. `text`: replaces those within a text.

    Raises RecursionError if it is nested some hundred times.
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {
            text(name): REDACTED
            if _is_secret(names.kind(name), inner)
            else without_secrets(inner, names, text)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [
            REDACTED if _is_named(value, place, names) else without_secrets(inner, names, text)
            for place, inner in enumerate(value)
        ]
    return value


def _is_named(values: list[Any], place: int, names: SecretNames) -> bool:
    """Whether what stands before it is its name: in a pair, or as a program's option."""
    name = values[place - 1] if place else None
    if not isinstance(name, str) or not isinstance(values[place], str):
        return False
    return (place == 1 or name.startswith("--")) and _is_secret(names.kind(name), values[place])


def _is_secret(kind: Kind, value: Any) -> bool:
    if not kind or value is None or isinstance(value, bool):
        return False
    if isinstance(value, (dict, list)):
        return bool(value)
    shown = str(value)
    return bool(shown) and shown not in EMPTY and not (kind is Kind.COUNTED and is_number(shown))
