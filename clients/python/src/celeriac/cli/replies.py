"""What each worker answered to a command, and who did not."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.failures import PARTLY
from celeriac.cli.output import Column
from celeriac.cli.session import Session

# Answers that mean that the command was carried out, or that there was nothing to do.
FINE = {"DONE", "FLAGGED", "UNKNOWN_TASK", "STOPPING"}
COLUMNS = [
    Column("WORKER", lambda reply: reply.worker.partition("/")[2]),
    Column("ANSWER", lambda reply: str(reply.outcome or "").lower().replace("_", " ")),
    Column("MESSAGE", "message", unset=""),
]


def answer(session: Session, found: Any, told: str, *, ends: bool = True) -> int:
    """Shows the replies below a sentence. Ends the command with 7 if a worker did not carry it out.

    Returns the exit code if `ends` is false.
    """
    if session.is_data:
        session.out.result(found, told)
    else:
        if session.is_terminal:
            session.say(told)
        session.out.items(found.replies, COLUMNS, "no worker had to be told")
    code = 0 if all(reply.outcome in FINE for reply in found.replies) else PARTLY
    if code and ends:
        raise click.exceptions.Exit(code)
    return code
