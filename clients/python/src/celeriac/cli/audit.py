"""`celeriac audit`: list, show, verify, export."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from celeriac.cli.failures import FAILED
from celeriac.cli.options import SEVERAL, limited, within
from celeriac.cli.output import Column, plain
from celeriac.cli.session import Session, command
from celeriac.cli.short_ids import MOST, whole_id
from celeriac.cli.short_ids import SHOWN as SHOWN_OF_ID

OUTCOMES = {"ok": "green", "failed": "red", "refused": "yellow", "unknown": "yellow"}


def _method(record: Any) -> str:
    return str(record.method).rpartition("/")[2]


def _outcome(record: Any) -> str:
    return str(record.outcome or "").lower()


COLUMNS = [
    Column("ID", "id", short=SHOWN_OF_ID),
    Column("TIME", "time"),
    Column("ACTOR", "actor"),
    Column("METHOD", _method, whole=True),
    Column("RESOURCE", "resource"),
    Column("OUTCOME", _outcome, styles=OUTCOMES),
    Column("ROLE", "role", wide=True),
    Column("ADDRESS", "address", wide=True),
    Column("MESSAGE", "message", unset="", wide=True),
]
SHOWN = [
    Column("id", "id"),
    Column("index", lambda record: str(record.index)),
    Column("time", "time"),
    Column("took", "duration"),
    Column("actor", "actor"),
    Column("role", "role"),
    Column("issuer", "issuer"),
    Column("address", "address"),
    Column("program", "user_agent"),
    Column("method", "method"),
    Column("resource", "resource"),
    Column("result", "result", unset=""),
    Column("outcome", _outcome),
    Column("code", "code", unset=""),
    Column("message", "message", unset=""),
    Column("request", "request_json"),
    Column("request id", "request_id"),
]


def _filter(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--outcome", "outcomes", type=SEVERAL, metavar="refused,…", help="Only with these outcomes."
        ),
        click.option("--method", "methods", type=SEVERAL, metavar="NAME,…", help="Only of these methods."),
        click.option(
            "--target-name",
            "--resource",
            "resources",
            type=SEVERAL,
            metavar="schedules/…",
            help="Only about these resources.",
        ),
        click.option("--actor", "actors", type=SEVERAL, metavar="NAME,…", help="Only by these."),
    ):
        function = option(function)
    return within(function)


@command("list")
@_filter
@limited
def list_(session: Session, limit: int | None, **filters: Any) -> None:
    """List who did what, the newest first.

    celeriac audit list --resource schedules/nightly-report --since 7d
    """
    found = session.client.audit.list_records(**filters, limit=limit, deadline=session.deadline)
    session.out.items(found, COLUMNS, "no record matches")


@command("show")
@click.argument("id")
def show(session: Session, id: str) -> None:
    """Show a record. The beginning of its id is enough."""
    id = whole_id(id, lambda: session.client.audit.list_records(limit=MOST, deadline=session.deadline))
    session.out.item(session.client.audit.get_record(id, deadline=session.deadline), SHOWN)


@command("verify")
def verify(session: Session) -> None:
    """Check the whole log against its signatures. Exit code 1: it is not what was written."""
    found = session.client.audit.verify(deadline=session.deadline)
    if session.is_data:
        session.out.data(plain(found))
    else:
        state = "intact" if found.intact else "NOT INTACT"
        click.echo(f"{state}: {found.size:,} records, root {found.root.hex()}")
        for each in found.discrepancies:
            click.echo(f"  record {each.index}: {each.fault}")
    if not found.intact:
        raise click.exceptions.Exit(FAILED)


@command("export")
@_filter
def export(session: Session, **filters: Any) -> None:
    """Write all records that match, one object a line, the newest first."""
    for record in session.client.audit.list_records(**filters, limit=None, deadline=session.deadline):
        session.out.line(plain(record))
