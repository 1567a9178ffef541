"""What each worker answered to a command, and who did not."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.failures import PARTLY
from celeriac.cli.output import Column
from celeriac.cli.session import Session
from celeriac.cli.widths import printable

# Answers that mean that the command was carried out, or that there was nothing to do.
FINE = {"DONE", "FLAGGED", "UNKNOWN_TASK", "STOPPING"}
COLUMNS = [
    Column("WORKER", lambda reply: reply.worker.partition("/")[2]),
    Column("ANSWER", lambda reply: str(reply.outcome or "").lower().replace("_", " ")),
    Column("MESSAGE", "message", unset=""),
]


def is_fine(replies: Any) -> bool:
    """Whether every worker carried it out, or had nothing to do."""
    return all(reply.outcome in FINE for reply in replies)


def in_lines(replies: Any) -> list[str]:
    """Returns a line for each worker that did not carry it out."""
    return [
        printable(f"  {_who_and_what(reply)}: {reply.message}".rstrip(": "))
        for reply in replies
        if reply.outcome not in FINE
    ]


def _who_and_what(reply: Any) -> str:
    return f"{COLUMNS[0].value(reply)} {COLUMNS[1].value(reply)}"


def answer(session: Session, found: Any, told: str) -> None:
    """Shows the replies below a sentence. Ends the command with 7 if a worker did not carry it out."""
    if session.is_data:
        session.out.result(found, told)
    else:
        if session.is_terminal:
            session.say(told)
        session.out.items(found.replies, COLUMNS, "no worker had to be told")
    if not is_fine(found.replies):
        raise click.exceptions.Exit(PARTLY)
