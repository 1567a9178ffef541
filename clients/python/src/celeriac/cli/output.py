"""Results as tables for people, tabs for pipes, JSON and YAML for programs, or names alone.

In a pipe there is no header, no colour and no truncation; times are RFC 3339. On a terminal a table is drawn
by rich, which only `celeriac.cli.terminal` imports.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from celeriac.cli import times
from celeriac.cli.failures import USAGE, Problem
from celeriac.cli.widths import padded, printable, width

if TYPE_CHECKING:
    from celeriac.cli.session import Session


class Column(NamedTuple):
    """A column of a table. `of`: an attribute, or a function of the item."""

    title: str
    of: str | Callable[[Any], Any]
    # Shown by `-o wide` alone.
    wide: bool = False
    # In place of a value that is unset.
    unset: str = "-"
    # Colours by value, such as {"FAILURE": "red"}.
    styles: Mapping[str, str] = {}
    # Never cut, as what it tells is a name to type.
    whole: bool = False
    # Where there is no room for all, left out before the last ones.
    spare: bool = False
    # Where there is no room for all, only so many first characters are shown: of ids that are taken so.
    short: int | None = None

    def value(self, item: Any) -> Any:
        return self.of(item) if callable(self.of) else getattr(item, self.of)


class Output:
    def __init__(self, session: Session) -> None:
        self._session = session

    def items(self, items: Iterable[Any], columns: Sequence[Column], empty: str = "nothing found") -> None:
        """Shows a list. `empty` is told to a person if there is nothing."""
        found = list(items)
        match self._session.format:
            case "json" | "yaml":
                self.data([plain(item) for item in found])
            case "name":
                for item in found:
                    click.echo(printable(_name_of(item)))
            case _ if not found:
                if self._session.is_terminal:
                    self._session.say(empty)
            case _:
                self._table(found, columns)
        if found and len(found) == self._session.limit:
            self._session.say(f"the first {len(found)}, there may be more: --all-pages, or --limit")

    def item(self, item: Any, rows: Sequence[Column]) -> None:
        """Shows one thing: a line for each of its fields."""
        match self._session.format:
            case "json" | "yaml":
                self.data(plain(item))
            case "name":
                click.echo(printable(_name_of(item)))
            case _:
                self._lines(item, rows)

    def data(self, data: Any) -> None:
        """Writes data as JSON or YAML, as the options say."""
        if self._session.format == "yaml":
            import yaml

            click.echo(yaml.safe_dump(data, allow_unicode=True, sort_keys=False).rstrip())
        else:
            click.echo(json.dumps(data, ensure_ascii=False, indent=2))

    def line(self, data: Any) -> None:
        """Writes one object of a stream, as a line of JSON."""
        click.echo(json.dumps(data, ensure_ascii=False))

    def result(self, data: Any, told: str) -> None:
        """Tells what was done: in a sentence, or as data."""
        if self._session.is_data:
            self.data(plain(data))
        else:
            click.echo(told)

    def text_of(self, value: Any, unset: str = "-") -> str:
        """Returns a value as a cell shows it."""
        if value is None or value == "" or value == []:
            return unset
        if isinstance(value, dt.datetime):
            return self.time(value)
        if isinstance(value, dt.timedelta):
            return times.short(value) if self._session.is_terminal else f"{value.total_seconds():g}s"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int):
            return f"{value:,}" if self._session.is_terminal else str(value)
        if isinstance(value, float):
            return f"{value:.3g}"
        if isinstance(value, (list, tuple)):
            return ", ".join(map(str, value))
        return str(value)

    def cell(self, value: Any) -> str:
        """Returns a value as text of a line that no table holds together."""
        return printable(self.text_of(value, ""))

    def time(self, time: dt.datetime) -> str:
        """Returns a time as people read it, or in a pipe as programs do."""
        if not self._session.is_terminal:
            return times.rfc3339(time)
        return self._here(time, f" {times.zone_name(self._session.zone)}")

    def sentence(self, text: str) -> str:
        """Returns a sentence of the system, whose times are in UTC, with those of the person's zone."""
        return times.in_zone(text, self._session.zone) if self._session.is_terminal else text

    def _here(self, time: dt.datetime, zone: str = "") -> str:
        now = self._session.now
        return f"{times.clock(time, self._session.zone, now)}{zone} ({times.relative(time, now)})"

    def _table(self, items: Sequence[Any], columns: Sequence[Column]) -> None:
        shown = [column for column in columns if not column.wide or self._session.format == "wide"]
        rows = self._rows(items, shown)
        titles = [self._title(column, items) for column in shown]
        if self._session.is_terminal:
            from celeriac.cli.terminal import draw_table, fits

            whole = self._session.format == "wide"
            if not whole and not fits(titles, rows):
                # Of a time, how far away it is says most in the least room; an id is known by its beginning.
                titles = [column.title for column in shown]
                rows = self._rows(items, shown, relative=True)
            draw_table(titles, rows, shown, color=self._session.color, whole=whole)
        elif self._session.format:
            for line in aligned([titles, *rows]):
                click.echo(line)
        else:
            for row in rows:
                click.echo("\t".join(row))

    def _rows(
        self, items: Sequence[Any], columns: Sequence[Column], *, relative: bool = False
    ) -> list[list[str]]:
        return [[printable(self._cell(column, item, relative)) for column in columns] for item in items]

    def _cell(self, column: Column, item: Any, relative: bool = False) -> str:
        value = column.value(item)
        if isinstance(value, dt.datetime) and self._session.is_terminal:
            # The title names the zone.
            return times.relative(value, self._session.now) if relative else self._here(value)
        unset = column.unset if self._session.is_terminal or column.unset != "-" else ""
        text = self.text_of(value, unset)
        return text[: column.short] if relative else text

    def _title(self, column: Column, items: Sequence[Any]) -> str:
        """A column of times names their zone."""
        of_times = any(isinstance(column.value(item), dt.datetime) for item in items)
        zone = times.zone_name(self._session.zone) if self._session.is_terminal else "UTC"
        return f"{column.title} ({zone})" if of_times else column.title

    def _lines(self, item: Any, rows: Sequence[Column]) -> None:
        if self._session.is_terminal:
            from celeriac.cli.terminal import draw_lines

            found = [(row.title, self.text_of(row.value(item), row.unset)) for row in rows]
            draw_lines([(title, text) for title, text in found if text], color=self._session.color)
        else:
            for row in rows:
                click.echo(f"{row.title}\t{printable(self._cell(row, item))}")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns rows as lines whose columns stand below each other."""
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(padded(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _name_of(item: Any) -> str:
    """Returns what a thing is called by. Raises `Problem` for what has no name, as a group of failures."""
    found = next((told for each in ("id", "name") if isinstance(told := getattr(item, each, None), str)), "")
    if not found:
        raise Problem("this has no names to tell", "-o name is for things that have one", "-o json", USAGE)
    return found


def plain(item: Any) -> Any:
    """Returns a result as data for JSON: a message as protobuf's JSON has it, with the contract's names."""
    raw = getattr(item, "raw", None)
    if raw is not None:
        from google.protobuf.json_format import MessageToDict

        return MessageToDict(raw, preserving_proto_field_name=True)
    if isinstance(item, Mapping):
        return {name: plain(value) for name, value in item.items()}
    if isinstance(item, (list, tuple)):
        return [plain(each) for each in item]
    if isinstance(item, dt.datetime):
        return times.rfc3339(item)
    return f"{item.total_seconds():g}s" if isinstance(item, dt.timedelta) else item
