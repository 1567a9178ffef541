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
    widths = [max(wcswidth(row[column]) for row in rows) for column in range(len(rows[0]))]
    filled = [
        [cell + " " * (width - wcswidth(cell)) for cell, width in zip(row, widths, strict=True)]
        for row in rows
    ]
    return ["  ".join(cells).rstrip() for cells in filled]


def _shown(cell: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cell)
