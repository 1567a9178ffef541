"""Questions before what destroys: how much it is, and a name to type where it is much."""

from __future__ import annotations

import click

from celeriac.cli.failures import FAILED, USAGE, Problem
from celeriac.cli.session import Session

# Above this, a yes is too easily typed.
MUCH = 1000


def confirm(session: Session, act: str, *, name: str, yes: bool, count: int | None = None) -> None:
    """Asks whether to do it, unless `yes`. `act`: "purge 12 messages of ai_analysis".

    Above 1,000 the answer is the name. Raises a Problem if the answer is no, or if nobody is there to ask.
    """
    if yes:
        return
    if not session.may_ask:
        raise Problem(
            f"nobody can be asked here whether to {act}",
            "standard input or standard error is no terminal",
            "add --yes, or look first by --dry-run",
            USAGE,
        )
    if count is not None and count > MUCH:
        typed = click.prompt(
            f"About to {act}. Type {name} to go on", err=True, default="", show_default=False
        )
        agreed = typed == name
    else:
        agreed = click.confirm(f"About to {act}. Go on?", err=True)
    if not agreed:
        raise Problem("nothing was done", code=FAILED)


def plural(count: int, noun: str) -> str:
    """Returns "1 task", "1,234 tasks"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
