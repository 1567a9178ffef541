"""Values of an SQL statement that is composed of parts."""

from __future__ import annotations

from typing import Any


class Parameters(list[Any]):
    """The values, in the order of their placeholders."""

    def place(self, value: Any) -> str:
        """Adds a value; returns its placeholder for the statement: $1, $2, …"""
        self.append(value)
        return f"${len(self)}"
