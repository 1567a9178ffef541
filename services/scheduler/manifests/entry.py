"""Reads the values of one entry of a manifest by their types; faults are collected.

Whether a value is allowed is checked later, by the rules of definitions (schedule/reading.py).
"""

from __future__ import annotations

import datetime as dt
import difflib
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from services.kernel.durations import is_whole, not_whole
from services.kernel.validation import Faults
from services.scheduler.manifests.text import json_text
from services.scheduler.schedule import checks
from services.scheduler.timing.durations import parse_span

KINDS: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    dict: "a mapping",
    list: "a list",
    type(None): "empty",
}
# YAML has whole numbers of any length.
LARGEST = int(sys.float_info.max)
Choice = TypeVar("Choice")
SPAN_EXAMPLE, SECONDS_EXAMPLE = "1h30m", "30s"


def kind_of(value: object) -> str:
    return KINDS.get(type(value), "something else")


class Entry:
    """One entry. `place` is its path in the manifest ("schedules[3]")."""

    def __init__(self, values: Mapping[str, Any], place: str, faults: Faults) -> None:
        # An empty value ("description:") counts as not set.
        self._values = {name: value for name, value in values.items() if value is not None}
        self.place = place
        self._faults = faults

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def at(self, name: str) -> str:
        return f"{self.place}.{name}"

    def inner(self, name: str, example: str) -> Entry:
        """Returns a mapping within the entry, as an entry of its own."""
        return Entry(self._kind(name, dict, "a mapping", example) or {}, self.at(name), self._faults)

    def only(self, known: tuple[str, ...]) -> None:
        """Refuses unknown fields: a misspelt field must not be ignored."""
        for name in self._values:
            if name not in known:
                nearest = difflib.get_close_matches(name[:100], known, 1, 0) or known
                self._faults.add(
                    self.at(name[:100]), f"is no field; known are {', '.join(known)}", nearest[0]
                )

    def text(self, name: str, example: str, default: str = "") -> str:
        found = self._kind(name, str, "a text (in quotes, if it looks like something else)", f'"{example}"')
        return default if found is None else str(found)

    def flag(self, name: str) -> bool | None:
        found: bool | None = self._kind(name, bool, "true or false", "true")
        return found

    def whole(self, name: str, example: str) -> int | None:
        found: int | None = self._kind(name, int, "a whole number", example)
        return found

    def number(self, name: str, example: str) -> float | None:
        value = self._values.get(name)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            if -LARGEST <= value <= LARGEST:
                return float(value)
            self._faults.add(self.at(name), "is too large for a number", example)
            return None
        found: float | None = self._kind(name, float, "a number", example)
        return found

    def texts(self, name: str, example: str) -> dict[str, str]:
        """Returns a mapping of texts; values that are not texts are faults."""
        found = self._kind(name, dict, "a mapping of texts", f"{{{example}}}") or {}
        for key, value in found.items():
            if not isinstance(value, str):
                fault = f"is {kind_of(value)}, it must be a text: put it in quotes"
                self._faults.add(f"{self.at(name)}.{key[:100]}", fault, f"{{{example}}}")
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def json(self, name: str, kind: type, default: str, example: str) -> str:
        """Returns data as JSON text. A text is returned unchanged: it should be JSON already."""
        value = self._values.get(name)
        if isinstance(value, str):
            return value
        found = self._kind(name, kind, KINDS[kind], example)
        if found is None:
            return default
        try:
            return json_text(found)
        except ValueError:
            self._faults.add(self.at(name), "holds a number that JSON can't", example)
            return default

    def choice(self, name: str, known: Mapping[str, Choice], example: str) -> Choice | None:
        """Returns the value that a text stands for; None when it is not set or unknown."""
        found = self._kind(name, str, "a text", example)
        if found is not None and found not in known:
            self._faults.add(self.at(name), f"is {found[:50]!r}, not one of {', '.join(known)}", example)
        return known.get(found)

    def seconds(self, name: str) -> float | None:
        found = self.span(name)
        return None if found is None else float(found)

    def span(self, name: str) -> Decimal | None:
        """Returns a length of time in seconds; None when it is not set or at fault."""
        value = self._values.get(name)
        if value is None:
            return None
        found: Decimal | None
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            # A bare number is seconds, as in Celery.
            seconds = Decimal(str(value))
            found = seconds if abs(seconds) < 10**15 else Decimal(10) ** 15
        else:
            found = parse_span(value) if isinstance(value, str) else None
        if found is None:
            shown = repr(value)[:100] if isinstance(value, str) else kind_of(value)
            self._faults.add(self.at(name), f"is {shown}, no length of time", SPAN_EXAMPLE)
        elif not is_whole(found):
            self._faults.add(self.at(name), not_whole(found), SECONDS_EXAMPLE)
            return None
        return found

    def moment(self, name: str) -> dt.datetime | None:
        """Returns a time in UTC; None when it is not set or at fault. It must be written with its offset."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            found = dt.datetime.fromisoformat(value if isinstance(value, str) else "")
            if found.tzinfo is not None:
                return found.astimezone(dt.UTC)
            fault = "has no offset from UTC: end it with Z or with one like +08:00"
        except (ValueError, OverflowError):
            shown = repr(value)[:100] if isinstance(value, str) else kind_of(value)
            fault = f"is {shown}, no time (ISO 8601)"
        self._faults.add(self.at(name), fault, checks.MOMENT_EXAMPLE)
        return None

    def _kind(self, name: str, kind: type, what: str, example: str) -> Any:
        """Returns the value if it is of that type; None when it is not set or at fault."""
        value = self._values.get(name)
        if value is None:
            return None
        # bool is a subclass of int in Python, but true is no number in a manifest.
        if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
            return value
        self._faults.add(self.at(name), f"is {kind_of(value)}, it must be {what}", example)
        return None
