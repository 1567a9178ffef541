"""Groups that know the help of their commands, and import one only when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Leaf(NamedTuple):
    """A command. `at`: "module:function" within celeriac.cli."""

    help: str
    at: str


class Branch(NamedTuple):
    """A group of commands."""

    help: str
    commands: Mapping[str, Leaf]


class LazyGroup(click.Group):
    """A group whose commands are named in a table."""

    def __init__(self, *given: Any, table: Mapping[str, Leaf | Branch], **named: Any) -> None:
        super().__init__(*given, **named)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.table.get(cmd_name)
        if found is None:
            return None
        if isinstance(found, Branch):
            return LazyGroup(cmd_name, table=found.commands, help=found.help)
        module, _, name = found.at.partition(":")
        command: click.Command = getattr(import_module(f"celeriac.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.help) for name, found in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.table:
            import difflib

            near = difflib.get_close_matches(args[0], self.table, 1)
            told = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self.table)}"
            raise click.UsageError(f"there is no command {args[0]!r}; {told}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        # click's own way imports each command for its help.
        return [
            CompletionItem(name, help=found.help)
            for name, found in self.table.items()
            if name.startswith(incomplete)
        ]
