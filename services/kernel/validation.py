"""Collects what is wrong with a request, so that the caller gets all faults at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.kernel.errors import FieldFault, Invalid

# Categories of Unicode whose characters look like a space or can't be seen at all: control characters, format
# characters (zero-width ones, the byte order mark, marks of direction), separators.
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_SURROGATE = re.compile("[\ud800-\udfff]").search


def unseen_character(text: str) -> str:
    """Returns the first character that no name may have, or "": "U+00A0 (NO-BREAK SPACE) as character 5".

    Such a character comes with a text that was copied from a page or a chat. Nobody sees it, and the name is
    not found by the one that it looks like. The ordinary space is allowed.
    """
    if text.isprintable():
        # None of these categories is printable, and of spaces only the ordinary one.
        return ""
    for place, character in enumerate(text, 1):
        if character != " " and unicodedata.category(character) in UNSEEN:
            name = unicodedata.name(character, "")
            return f"U+{ord(character):04X}{f' ({name})' if name else ''} as character {place}"
    return ""


class Faults:
    """The faults found so far in one request."""

    def __init__(self) -> None:
        self._found: list[FieldFault] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[FieldFault]:
        return iter(self._found)

    def add(self, field: str, fault: str, example: str) -> None:
        self._found.append(FieldFault(field, fault, example))

    def take(self, others: Faults) -> None:
        """Adds the faults of others to these."""
        self._found += others

    def unless(self, holds: bool, field: str, fault: str, example: str) -> bool:
        """Records the fault unless the condition holds; returns whether it holds."""
        if not holds:
            self.add(field, fault, example)
        return holds

    def text(self, field: str, value: str, example: str, *, most: int, required: bool = True) -> bool:
        """Checks a text: not empty if `required`, at most `most` characters, storable. Returns whether it is.

        PostgreSQL's `text` has no NUL, and a lone surrogate has no UTF-8 form.
        """
        if required and not value.strip():
            self.add(field, "is empty", example)
        elif len(value) > most:
            self.add(field, f"has {len(value)} characters, at most {most} are allowed", example)
        elif "\0" in value or _SURROGATE(value):
            self.add(field, "has a NUL or a lone surrogate character", example)
        else:
            return True
        return False

    def name(self, field: str, value: str, example: str, *, most: int, required: bool = True) -> bool:
        """Checks a name: a text in which every character can be seen. Returns whether it is."""
        if not self.text(field, value, example, most=most, required=required):
            return False
        unseen = unseen_character(value)
        return self.unless(
            not unseen, field, f"has {unseen}; only visible characters and plain spaces are allowed", example
        )

    def raise_any(self) -> None:
        """Raises `Invalid` with all faults, if there are any."""
        if self._found:
            raise Invalid(self._found)
