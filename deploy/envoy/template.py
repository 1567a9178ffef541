"""Fills the YAML template: a scalar "${name}" is replaced by any value, "${name}" within a scalar by text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).with_name("gateway.yaml")
PLACE = re.compile(r"\$\{(\w+)\}")


class Template:
    """The sections of gateway.yaml."""

    def __init__(self, path: Path = TEMPLATE) -> None:
        self._sections: dict[str, Any] = yaml.safe_load(path.read_text())

    def fill(self, section: str, **values: Any) -> dict[str, Any]:
        """Returns the section with the values filled in; raises KeyError for a place without a value.

        A key whose value is None is left out.
        """
        filled: dict[str, Any] = _filled(self._sections[section], values)
        return filled


def _filled(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        filled = {key: _filled(value, values) for key, value in node.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(node, list):
        return [_filled(item, values) for item in node]
    if not isinstance(node, str):
        return node
    whole = PLACE.fullmatch(node)
    if whole:
        return values[whole.group(1)]
    return PLACE.sub(lambda place: str(values[place.group(1)]), node)
