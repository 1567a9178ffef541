"""`celeriac workers`: list, show, ping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli import names
from celeriac.cli.options import SEVERAL, limited, name_of, suggesting
from celeriac.cli.output import Column, plain
from celeriac.cli.replies import answer
from celeriac.cli.session import Session, command

if TYPE_CHECKING:
    from celeriac.monitor.v1.workers import Worker

LISTING = "celeriac workers list"
STATES = {"online": "green", "silent": "yellow", "gone": "red"}


def state_of(worker: Worker) -> str:
    return str(worker.state or "unknown").lower()


def queues_of(worker: Worker) -> list[str]:
    return [each.partition("/")[2] for each in worker.queues]


COLUMNS = [
    Column("NAME", "id"),
    Column("STATE", state_of, styles=STATES),
    Column("ACTIVE", "active"),
    Column("DONE", "processed"),
    Column("SEEN", "last_seen_time"),
    Column("QUEUES", queues_of),
    Column("POOL", "pool"),
    Column("LOST EVENTS", "events_lost"),
    Column("WARNINGS", lambda worker: [each.lower() for each in worker.warnings], unset="", wide=True),
    Column("VERSION", "software_version", wide=True),
    Column("SINCE", "first_seen_time", wide=True),
]
SHOWN = [
    Column("name", "id"),
    Column("state", state_of),
    Column("hostname", "hostname"),
    Column("pid", lambda worker: str(worker.pid or "")),
    Column("pool", "pool"),
    Column("software", lambda worker: f"{worker.software} {worker.software_version}".strip()),
    Column("queues", queues_of, unset="none that is known"),
    Column("active", "active"),
    Column("processed", "processed"),
    Column("first seen", "first_seen_time"),
    Column("last seen", "last_seen_time"),
    Column("task events", lambda worker: str(worker.task_events or "").lower()),
    Column("events lost", "events_lost"),
    Column("clock skew", "clock_skew", unset="none"),
    Column("warnings", lambda worker: [each.lower() for each in worker.warnings], unset="none"),
]
HELD = [
    Column("ID", lambda task: task.task.partition("/")[2]),
    Column("TASK", "task_name"),
    Column("SINCE", "started_time", unset="waits"),
    Column("QUEUE", lambda task: task.queue.partition("/")[2]),
    Column("ARGS", "args"),
]


@command("list")
@click.option("--state", type=SEVERAL, metavar="online,…", help="Only in these states.")
@limited
def list_(session: Session, state: list[str] | None, limit: int | None) -> None:
    """List workers: who is there, what they do, and which queues they consume."""
    states: Any = state
    found = session.client.workers.list(states=states, limit=limit, deadline=session.deadline).all()
    if not state:
        names.keep("workers", [worker.id for worker in found])
    session.out.items(found, COLUMNS, "no worker has been heard of")


@command("show")
@name_of("workers")
@click.option("--inspect/--no-inspect", default=True, help="Ask the worker itself for its pool and tasks.")
def show(session: Session, name: str, inspect: bool) -> None:
    """Show a worker; an online one is asked what it runs and holds."""
    with suggesting(session, "workers", name, LISTING):
        worker = session.client.workers.get(name, deadline=session.deadline)
    asks = inspect and worker.state == "ONLINE"
    inspection = session.client.workers.inspect(worker, deadline=session.deadline) if asks else None
    if session.is_data:
        session.out.data({"worker": plain(worker), "inspection": plain(inspection)})
        return
    session.out.item(worker, SHOWN)
    if inspection is not None and session.format != "name":
        held = [*inspection.active_tasks, *inspection.reserved_tasks, *inspection.scheduled_tasks]
        if session.is_terminal:
            click.echo("")
        session.out.items(held, HELD, "it holds no task")


@command("ping")
@name_of("workers", required=False, several=True)
def ping(session: Session, names: tuple[str, ...]) -> None:
    """Ask workers whether they answer: those that are named, or all."""
    found = session.client.workers.ping(
        workers=names or None, all=not names or None, deadline=session.deadline
    )
    answer(session, found, f"{len(found.replies)} workers were asked")
