"""`celeriac operations`: list, show, wait, cancel."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.following import finish, follow, progress
from celeriac.cli.options import SEVERAL, limited
from celeriac.cli.output import Column
from celeriac.cli.session import Session, command

STATES = {
    "running": "cyan",
    "done": "green",
    "cancelled": "yellow",
    "cancelling": "yellow",
    "owner lost": "red",
}


def _state(operation: Any) -> str:
    return str(operation.state or "unknown").lower().replace("_", " ")


COLUMNS = [
    Column("ID", "id"),
    Column("STATE", _state, styles=STATES),
    Column("KIND", "kind"),
    Column("PROGRESS", progress),
    Column("BEGUN", "create_time"),
    Column("ENDED", "end_time", unset="not yet"),
    Column("BY", "actor"),
    Column("OF", "resource", wide=True),
    Column("NOTE", "note", unset="", wide=True),
]
SHOWN = [
    *[Column(column.title.lower(), column.of, unset=column.unset) for column in COLUMNS],
    Column("owner", "owner"),
    Column("cancelled by", "cancel_requested_by", unset=""),
    Column("changed", "update_time"),
]


@command("list")
@click.option("--state", type=SEVERAL, metavar="running,…", help="Only in these states.")
@click.option("--kind", type=SEVERAL, metavar="retry_tasks,…", help="Only of these kinds.")
@limited
def list_(session: Session, state: Any, kind: Any, limit: int | None) -> None:
    """List operations, the newest first."""
    found = session.client.operations.list(states=state, kinds=kind, limit=limit, deadline=session.deadline)
    session.out.items(found, COLUMNS, "no operation matches")


@command("show")
@click.argument("id")
def show(session: Session, id: str) -> None:
    """Show an operation."""
    session.out.item(session.client.operations.get(id, deadline=session.deadline), SHOWN)


@command("wait")
@click.argument("id")
def wait(session: Session, id: str) -> None:
    """Follow an operation to its end. Exit code 7: a part of it failed. Ctrl-C leaves it running."""
    finish(session, follow(session, id))


@command("cancel")
@click.argument("id")
def cancel(session: Session, id: str) -> None:
    """Ask an operation to end. What it has done stays done."""
    found = session.client.operations.cancel(id, deadline=session.deadline)
    session.out.result(found, f"{found.id}: {_state(found)} · {progress(found)}")
