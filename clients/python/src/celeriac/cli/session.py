"""What the shared options say, and the client and the output that are made of them."""

from __future__ import annotations

import datetime as dt
import functools
import os
import shutil
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli import times

if TYPE_CHECKING:
    from celeriac.cli.output import Output
    from celeriac.client import Client

FORMATS = ("table", "wide", "json", "yaml", "name")


class Session:
    """One call of the command."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        # The most items of the list that is asked for; None: all, or no list.
        self.limit: int | None = None
        # Once for the whole call, so that relative times agree.
        self.now = dt.datetime.now(times.UTC)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads the output."""
        return sys.stdout.isatty()

    @property
    def may_ask(self) -> bool:
        """Whether a person is there to answer a question."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def rows(self) -> int:
        """How many lines the terminal has."""
        return shutil.get_terminal_size((80, 24)).lines

    @property
    def format(self) -> str:
        """How to show results; "" where nobody said: a table for people, tabs for pipes."""
        return self.options.get("output") or ""

    @property
    def is_data(self) -> bool:
        """Whether the output is for programs: JSON or YAML."""
        return self.format in {"json", "yaml"}

    @property
    def color(self) -> bool:
        return self.is_terminal and not self.options.get("no_color") and "NO_COLOR" not in os.environ

    @cached_property
    def zone(self) -> dt.tzinfo:
        return times.zone_of(self.options.get("zone"))

    @property
    def deadline(self) -> float | None:
        """The longest that a call may take, in seconds; None: as long as its contract lets it."""
        given: dt.timedelta | None = self.options.get("timeout")
        return given.total_seconds() if given else None

    @cached_property
    def client(self) -> Client:
        from celeriac.client import connect

        client = connect(
            self.options.get("target"), ca=self.options.get("ca"), context=self.options.get("context")
        )
        click.get_current_context().find_root().call_on_close(client.close)
        return client

    @cached_property
    def out(self) -> Output:
        from celeriac.cli.output import Output

        return Output(self)

    def say(self, text: str) -> None:
        """Tells a person something beside the result, on standard error."""
        click.echo(text, err=True)


def session() -> Session:
    """Returns the session of the command that runs."""
    return click.get_current_context().ensure_object(Session)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    # An option after the command counts more than one before it.
    if value is not None and value is not False:
        context.ensure_object(Session).options[str(parameter.name)] = value


def shared_options() -> list[click.Parameter]:
    """Returns the options that every command takes, before its name and after it."""

    def option(*names: str, help: str, **named: Any) -> click.Option:
        return click.Option(list(names), help=help, expose_value=False, callback=_keep, **named)

    return [
        option("-o", "--output", type=click.Choice(FORMATS), help="How to show the result."),
        option("--target", metavar="HOST:PORT", help="The gateway. [CELERIAC_TARGET]"),
        option("--ca", metavar="FILE", help="Who signed its certificate. [CELERIAC_CA]"),
        option("--context", metavar="NAME", help="A context of `celeriac contexts`. [CELERIAC_CONTEXT]"),
        option("--timeout", type=times.DURATION, metavar="15s", help="The longest that a call may take."),
        option(
            "--zone", metavar="NAME", help="The zone of times, such as Asia/Taipei; local when not given."
        ),
        option("--no-color", is_flag=True, help="No colour. [NO_COLOR]"),
    ]


class Command(click.Command):
    """A command with the shared options, which its help lists apart."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.shared = shared_options()
        self.params.extend(self.shared)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [record for each in self.get_params(ctx) if (record := each.get_help_record(ctx))]
        shared = [record for each in self.shared if (record := each.get_help_record(ctx))]
        own = [record for record in own if record not in shared]
        for title, records in (("Options", own), ("Of every command", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def command(*arguments: Any, **named: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a command of a function, whose first parameter is the session."""

    def make(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(*given: Any, **values: Any) -> Any:
            return function(session(), *given, **values)

        return click.command(*arguments, cls=Command, **named)(run)

    return make
