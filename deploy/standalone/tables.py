"""Rows of text as lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from wcwidth import wcswidth


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Returns the rows as lines, each column as wide as its widest cell.

    A Chinese character takes two columns of a terminal. Names come from anyone who reaches the broker, so
    what a terminal would obey or hide is shown as Python escapes it.
    """
    rows = [tuple(map(_shown, row)) for row in rows]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _shown(cell: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cell)


def _width(cell: str) -> int:
    width = wcswidth(cell)
    # Negative when a character has no width that is known, as a control character.
    return len(cell) if width < 0 else width
