"""Tables and lines on a terminal, by rich. Imported only where a person reads."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from celeriac.cli.widths import printable

if TYPE_CHECKING:
    from celeriac.cli.output import Column

GAP = 2
# A column that gives way keeps at least so much of its text.
LEAST = 8


def console(color: bool) -> Console:
    return Console(file=sys.stdout, no_color=not color, highlight=False, soft_wrap=False, emoji=False)


def columns_of_terminal() -> int:
    return Console(file=sys.stdout).width


def fits(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the table can be drawn without cutting anything."""
    widths = _natural(titles, rows)
    return sum(widths) + GAP * (len(widths) - 1) <= columns_of_terminal()


def draw_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    columns: Sequence[Column],
    *,
    color: bool,
    whole: bool,
) -> None:
    """Draws a table. The first column, states and names are never cut; the others give way.

    Where that is not enough, spare columns are left out, and then the last ones.

    `whole`: nothing is cut or left out, and the terminal wraps lines.
    """
    shown = console(color)
    natural = _natural(titles, rows)
    least = [
        size if index == 0 or columns[index].styles or columns[index].whole else min(size, LEAST)
        for index, size in enumerate(natural)
    ]
    if not whole:
        kept = with_room(least, [column.spare for column in columns], shown.width)
        titles, columns = [titles[index] for index in kept], [columns[index] for index in kept]
        rows = [[row[index] for index in kept] for row in rows]
        natural, least = [natural[index] for index in kept], [least[index] for index in kept]
    widths = natural if whole else fitted(natural, least, shown.width)
    if whole:
        shown.width = max(shown.width, sum(widths) + GAP * len(widths))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold" if color else "")
    for title, size in zip(titles, widths, strict=False):
        table.add_column(title, no_wrap=True, overflow="ellipsis", width=size)
    for row in rows:
        table.add_row(*(_styled(row[index], columns[index], color) for index in range(len(widths))))
    # What is wider than the terminal, such as a long name, is wrapped by it and not cut.
    shown.width = max(shown.width, sum(widths) + GAP * len(widths))
    shown.print(table)


def _natural(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(cell_len(row[index]) for row in [titles, *rows]) for index in range(len(titles))]


def with_room(least: Sequence[int], spare: Sequence[bool], columns: int) -> list[int]:
    """Returns the columns to show, by their places: the spare ones are left out first, each time the last."""
    kept = list(range(len(least)))
    while len(kept) > 1 and sum(least[index] for index in kept) + GAP * (len(kept) - 1) > columns:
        kept.remove(max(kept[1:], key=lambda index: (spare[index], index)))
    return kept


def fitted(natural: Sequence[int], least: Sequence[int], columns: int) -> list[int]:
    """Returns the widths of the columns. The widest are cut first, down to their least."""
    widths = list(natural)
    while sum(widths) + GAP * (len(widths) - 1) > columns:
        able = [index for index in range(1, len(widths)) if widths[index] > least[index]]
        if not able:
            break
        widths[max(able, key=lambda index: widths[index])] -= 1
    return widths


def _styled(text: str, column: Column, color: bool) -> Text:
    return Text(text, style=column.styles.get(text, "") if color else "")


def draw_lines(lines: Sequence[tuple[str, str]], *, color: bool) -> None:
    """Draws a name and a text in each line; long texts are wrapped behind their names."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold" if color else "")
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(name, Text(text))
    console(color).print(table)


def draw_event(cells: Sequence[str], style: str, *, color: bool) -> None:
    """Draws one line of a stream; the second cell is the state."""
    line = Text("  ").join(
        Text(printable(cell), style=style if color and index == 1 else "") for index, cell in enumerate(cells)
    )
    console(color).print(line, no_wrap=True, overflow="ellipsis", crop=True)


def draw_text(text: str, *, color: bool) -> None:
    """Draws a text, wrapped between words."""
    console(color).print(Text(printable(text)))


def draw_paragraph(head: str, texts: Sequence[str], style: str, *, color: bool) -> None:
    """Draws a line, and below it texts that are wrapped between words."""
    shown = console(color)
    shown.print()
    shown.print(Text(printable(head), style=f"bold {style}".strip() if color else ""))
    for text in filter(None, texts):
        shown.print(Padding(Text(printable(text)), (0, 0, 0, 2)))
