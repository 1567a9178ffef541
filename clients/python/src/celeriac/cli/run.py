"""One call of the command, from its arguments to its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from celeriac import exceptions
from celeriac.cli.failures import INTERRUPTED, USAGE, Problem, problem_of, tell
from celeriac.cli.lazy import LazyGroup
from celeriac.cli.session import Session, shared_options
from celeriac.cli.tree import TREE

HELP = """Operate a Celeriac system: schedules, tasks, queues, workers, and what becomes of them.

Where it is comes from `celeriac login`, or from CELERIAC_TARGET, CELERIAC_TOKEN and CELERIAC_CA. In a pipe
the output is tabs without a header; -o json gives data. Exit codes: docs/command.md.
"""

# A group of commands alone: its text is what there is in it. Before click 8.2 click itself printed that.
GROUP_ALONE = getattr(click.exceptions, "NoArgsIsHelpError", ())


def root() -> LazyGroup:
    """Returns the command `celeriac`."""
    return LazyGroup(
        "celeriac",
        table=TREE,
        help=HELP,
        params=shared_options(),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        invoke_without_command=False,
    )


def run(arguments: Sequence[str]) -> int:
    """Runs the command, and returns its exit code."""
    session = Session()
    cause: Exception | None = None
    try:
        found = root().main(list(arguments), prog_name="celeriac", standalone_mode=False, obj=session)
        sys.stdout.flush()
        # `--help` returns 0, `ctx.exit(code)` its code, a command None.
        return found if isinstance(found, int) else 0
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough, as `head` does. Nothing more can be written at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Problem as error:
        problem = error
    except click.UsageError as error:
        if isinstance(error, GROUP_ALONE):
            error.show()
            return USAGE
        problem, cause = _wrong_use(error), error
    except click.ClickException as error:
        problem, cause = Problem(error.format_message(), code=error.exit_code), error
    except exceptions.Error as error:
        problem, cause = problem_of(error), error
    except (ValueError, TypeError) as error:
        problem, cause = _refused(error), error
    tell(problem, session, cause or problem.__cause__)  # type: ignore[arg-type]
    return problem.code


def _wrong_use(error: click.UsageError) -> Problem:
    path = error.ctx.command_path if error.ctx else "celeriac"
    usage = error.ctx.get_usage().removeprefix("Usage: ") if error.ctx else ""
    return Problem(error.format_message(), f"usage: {usage}" if usage else "", f"{path} --help", USAGE)


def _refused(error: Exception) -> Problem:
    """A value that the client refuses before it sends anything. Our own mistakes are not hidden by it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    if place not in {
        "celeriac.connection",
        "celeriac.contexts",
        "celeriac.calls.request",
        "celeriac.calls.blocking",
    }:
        raise error
    return Problem(str(error), next_step="celeriac --help", code=USAGE)
