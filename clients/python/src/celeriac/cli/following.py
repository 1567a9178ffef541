"""Long work, followed to its end: on a terminal with one line of progress. Ctrl-C leaves it running."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from celeriac.cli.failures import FAILED, INTERRUPTED, PARTLY
from celeriac.cli.session import Session

if TYPE_CHECKING:
    from celeriac.operations.v1.operations import Operation

# How long one call waits at the server: the line of progress is renewed as often.
STEP_SECONDS = 1.0


def follow(session: Session, name: str) -> Operation:
    """Waits for the end of an operation, and returns it. Ends the command with 130 at Ctrl-C."""
    shows = session.may_ask and not session.is_data
    try:
        while True:
            operation = session.client.operations.wait(name, timeout=STEP_SECONDS)
            if shows:
                click.echo(f"\r\x1b[K{progress(operation)}", err=True, nl=False)
            if operation.ended:
                return operation
    except KeyboardInterrupt:
        session.say(f"\nleft running · celeriac operations wait {name.removeprefix('operations/')}")
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        if shows:
            click.echo("", err=True)


def progress(operation: Operation) -> str:
    """Returns "1,200 of 5,000 · 24% · 120/s · 3 failed"."""
    parts = [f"{operation.done:,} of {operation.total:,}"]
    if operation.total:
        parts.append(f"{100 * operation.done // operation.total}%")
    if operation.rate:
        parts.append(f"{operation.rate:.3g}/s")
    if operation.failed:
        parts.append(f"{operation.failed:,} failed")
    return " · ".join(parts)


def exit_code_of(operation: Operation) -> int:
    """Returns 0, 7 if part of it failed, 1 if it did not end by itself."""
    if operation.state != "DONE":
        return FAILED
    return PARTLY if operation.failed else 0


def finish(session: Session, operation: Operation) -> None:
    """Shows the end of an operation, and ends the command with its exit code."""
    state = str(operation.state).lower().replace("_", " ")
    session.out.result(operation, f"{operation.id}: {state} · {progress(operation)}")
    if code := exit_code_of(operation):
        raise click.exceptions.Exit(code)
