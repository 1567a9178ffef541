"""How many columns of a terminal a text takes, without a library: this is for pipes, where rich is not
imported.
"""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """Returns the columns: two for a Chinese character or an emoji, none for a combining one."""
    return sum(_of(character) for character in text)


def _of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def padded(text: str, columns: int) -> str:
    return text + " " * (columns - width(text))


def printable(text: str) -> str:
    """Returns the text in one line; what a terminal would obey or hide is shown as Python escapes it.

    Names and errors come from anyone who reaches the broker.
    """
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
