"""The same act for several names: what fails does not keep the others back, and is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from celeriac import exceptions
from celeriac.cli.failures import PARTLY, problem_of, tell
from celeriac.cli.output import plain
from celeriac.cli.session import Session


def for_each(session: Session, names: Sequence[str], act: Callable[[str], tuple[Any, str]]) -> list[Any]:
    """Does it for each name, and shows what came of it: a line each, or one array of data.

    `act` returns a result and a sentence. Returns the results. Ends the command with 7 if some failed, and
    with the code of the first error if all did.
    """
    done: list[tuple[Any, str]] = []
    codes: list[int] = []
    for name in names:
        try:
            done.append(act(name))
        except exceptions.Error as error:
            if len(names) == 1:
                raise
            problem = problem_of(error)
            codes.append(problem.code)
            tell(problem, session, error)
    if session.is_data:
        session.out.data([plain(result) for result, _ in done])
    else:
        for _, told in done:
            click.echo(told)
    if codes:
        raise click.exceptions.Exit(PARTLY if done else codes[0])
    return [result for result, _ in done]
