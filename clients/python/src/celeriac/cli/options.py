"""Options and arguments that several commands have, under the same names everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from celeriac import exceptions
from celeriac.cli import names, times
from celeriac.cli.failures import Problem, problem_of
from celeriac.cli.session import Session, session

Function = TypeVar("Function", bound=Callable[..., Any])
LIMIT = 50


class Several(click.ParamType):  # type: ignore[type-arg] # it has none before click 8.2
    """Values with commas between them: "failure,retry"."""

    name = "text,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return (
            value if isinstance(value, list) else [each.strip() for each in value.split(",") if each.strip()]
        )


SEVERAL = Several()


def name_of(kind: str, *, required: bool = True, several: bool = False) -> Callable[[Function], Function]:
    """An argument NAME, or NAMES…, that is completed."""
    shown = "[NAME]" if not required else "NAME"
    return click.argument(
        "names" if several else "name",
        metavar=f"{shown}…" if several else shown,
        required=required,
        nargs=-1 if several else 1,
        shell_complete=names.completing(kind),
    )


def limited(function: Function) -> Function:
    """--limit and --all-pages; the command gets `limit`, None for all."""

    @click.option(
        "--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="The most to list."
    )
    @click.option("--all-pages", is_flag=True, help="All there are.")
    @functools.wraps(function)
    def run(*given: Any, limit: int, all_pages: bool, **named: Any) -> Any:
        session().limit = None if all_pages else limit
        return function(*given, limit=session().limit, **named)

    return run  # type: ignore[return-value]


def within(function: Function) -> Function:
    """--since and --until; the command gets `start_time` and `end_time`."""

    @click.option("--since", type=times.TIME, metavar="2h", help="Only from then on: 2h (ago), or a time.")
    @click.option("--until", type=times.TIME, metavar="TIME", help="Only before then.")
    @functools.wraps(function)
    def run(*given: Any, since: Any, until: Any, **named: Any) -> Any:
        return function(*given, start_time=since, end_time=until, **named)

    return run  # type: ignore[return-value]


def task_filter(function: Function) -> Function:
    """The filters of tasks; the command gets them as `filters`, by the names of the contract."""

    @click.option("--state", type=SEVERAL, metavar="failure,retry", help="Only in these states.")
    @click.option("--task", type=SEVERAL, metavar="NAME,…", help="Only tasks of these registered names.")
    @click.option("--queue", type=SEVERAL, metavar="NAME,…", help="Only of these queues.")
    @click.option("--worker", type=SEVERAL, metavar="NAME,…", help="Only by these workers.")
    @click.option("--exception", type=SEVERAL, metavar="TYPE,…", help="Only with these exception types.")
    @click.option("--text", help="Only with this in arguments, result or error.")
    @within
    @functools.wraps(function)
    def run(
        *given: Any, state: Any, task: Any, queue: Any, worker: Any, exception: Any, text: Any, **named: Any
    ) -> Any:
        stated = {
            "states": state,
            "task_names": task,
            "queues": queue,
            "workers": worker,
            "exception_types": exception,
            "text": text,
            "start_time": named.pop("start_time"),
            "end_time": named.pop("end_time"),
        }
        return function(*given, filters={name: value for name, value in stated.items() if value}, **named)

    return run  # type: ignore[return-value]


def schedule_filter(function: Function) -> Function:
    """The filters of schedules; the command gets them as `filters`."""

    @click.option("--text", help="Only with this in name, description or task name.")
    @click.option("--task", type=SEVERAL, metavar="NAME,…", help="Only of these task names.")
    @click.option("--queue", type=SEVERAL, metavar="NAME,…", help="Only of these queues.")
    @click.option("--label", type=SEVERAL, metavar="team=growth,…", help="Only with all of these labels.")
    @click.option("--paused/--not-paused", default=None, help="Only those that are paused, or are not.")
    @functools.wraps(function)
    def run(*given: Any, text: Any, task: Any, queue: Any, label: Any, paused: Any, **named: Any) -> Any:
        stated = {"text": text, "task_names": task, "queues": queue, "labels": label, "paused": paused}
        return function(
            *given, filters={name: value for name, value in stated.items() if value is not None}, **named
        )

    return run  # type: ignore[return-value]


def asked_first(function: Function) -> Function:
    """--yes and --dry-run, of what destroys or reaches many."""
    function = click.option("--yes", "-y", is_flag=True, help="Do not ask.")(function)
    return click.option("--dry-run", is_flag=True, help="Only say what would be done.")(function)


@contextmanager
def suggesting(session: Session, kind: str, name: str | Sequence[str], listing: str) -> Iterator[None]:
    """Says of a name that is not found which one was probably meant. `name`: what was typed, or all of it."""
    try:
        yield
    except exceptions.NotFound as error:
        found = problem_of(error)
        known = _known(session, kind)
        typed = [name] if isinstance(name, str) else name
        near = next((names.nearest(each, known) for each in typed if each not in known), "")
        told = [f"did you mean {near}?"] if near else []
        raise Problem(found.message, found.why, " · ".join([*told, listing]), found.code) from error


def _known(session: Session, kind: str) -> list[str]:
    try:
        return names.asked(session.client, kind)
    except exceptions.Error:
        return names.kept(kind)
