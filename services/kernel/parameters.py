"""Values of a statement that is put together from parts."""

from __future__ import annotations

from typing import Any


class Parameters(list[Any]):
    """The values, in the order in which the statement's text was given their places."""

    def place(self, value: Any) -> str:
        """Where the value stands in the statement: $1, $2, …"""
        self.append(value)
        return f"${len(self)}"
