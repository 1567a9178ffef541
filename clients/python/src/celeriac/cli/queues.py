"""`celeriac queues`: list, show, peek, purges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli import names
from celeriac.cli.options import limited, name_of, suggesting
from celeriac.cli.output import Column, plain
from celeriac.cli.session import Session, command

if TYPE_CHECKING:
    from celeriac.monitor.v1.queues import Queue

LISTING = "celeriac queues list"
STATES = {"paused": "yellow", "no consumer": "red", "consumed": "green", "idle": "dim"}


def state_of(queue: Queue) -> str:
    """Returns what is to be known first: "paused", "no consumer", "consumed", "idle"."""
    if queue.pause is not None:
        return "paused"
    if queue.consumer_count is None:
        return "not known"
    if queue.consumer_count == 0:
        return "no consumer" if queue.length else "idle"
    return "consumed"


def _rate(name: str) -> Any:
    def rate(queue: Queue) -> str | None:
        found = getattr(queue, name)
        return None if found is None else f"{found:.3g}/s"

    return rate


def _consumers(queue: Queue) -> list[str]:
    return [each.partition("/")[2] for each in queue.consumers]


COLUMNS = [
    Column("NAME", "id"),
    Column("STATE", state_of, styles=STATES),
    Column("LENGTH", "length"),
    Column("UNACKED", "unacknowledged", spare=True),
    Column("OLDEST", "oldest_sent_time"),
    Column("IN", _rate("arrivals_per_second"), spare=True),
    Column("OUT", _rate("deliveries_per_second"), spare=True),
    Column("EMPTY IN", "time_to_empty", spare=True),
    Column("CONSUMERS", "consumer_count"),
    Column("ETA", "waiting_for_eta", wide=True),
    Column("WORKERS", _consumers, wide=True),
]
SHOWN = [
    Column("name", "id"),
    Column("state", state_of),
    Column(
        "paused by", lambda queue: queue.pause and f"{queue.pause.subject} {queue.pause.reason}", unset=""
    ),
    Column("paused since", lambda queue: queue.pause and queue.pause.pause_time, unset=""),
    Column("length", "length"),
    Column("by priority", lambda queue: [f"{each.priority}: {each.length}" for each in queue.by_priority]),
    Column("unacked", "unacknowledged"),
    Column("waiting for eta", "waiting_for_eta"),
    Column("oldest", "oldest_sent_time"),
    Column("in", _rate("arrivals_per_second")),
    Column("out", _rate("deliveries_per_second")),
    Column("empty in", "time_to_empty"),
    Column("consumers", _consumers, unset="none"),
]
MESSAGES = [
    Column("ID", lambda message: message.task.partition("/")[2]),
    Column("TASK", "task_name"),
    Column("PRIORITY", "priority"),
    Column("ETA", "eta", unset="now"),
    Column("BYTES", "size_bytes"),
    Column("ARGS", "args"),
    Column("KWARGS", "kwargs"),
    Column("RETRIES", "retries", wide=True),
    Column("EXPIRES", "expires", unset="never", wide=True),
]
PURGES = [
    Column("NAME", "id"),
    Column("QUEUE", lambda purge: purge.queue.partition("/")[2]),
    Column("MESSAGES", "purged_count"),
    Column("PURGED", "purge_time"),
    Column("KEPT UNTIL", "expire_time"),
    Column("BY", "subject"),
]


@command("list")
@limited
def list_(session: Session, limit: int | None) -> None:
    """List queues: how much waits, how fast it goes, and who consumes it."""
    found = session.client.queues.list(limit=limit, deadline=session.deadline).all()
    names.keep("queues", [queue.id for queue in found])
    session.out.items(found, COLUMNS, "no queue")


@command("show")
@name_of("queues")
def show(session: Session, name: str) -> None:
    """Show a queue: its length, its consumers, its rates."""
    with suggesting(session, "queues", name, LISTING):
        session.out.item(session.client.queues.get(name, deadline=session.deadline), SHOWN)


@command("peek")
@name_of("queues")
@click.option("--count", type=click.IntRange(1), default=10, show_default=True, help="How many messages.")
def peek(session: Session, name: str, count: int) -> None:
    """Look at the next messages of a queue. They stay where they are."""
    with suggesting(session, "queues", name, LISTING):
        found = session.client.queues.peek(name, count=count, deadline=session.deadline)
    if session.is_data:
        session.out.data(plain(found))
        return
    session.out.items(found.messages, MESSAGES, "nothing waits")
    if session.is_terminal and found.length > len(found.messages):
        session.say(f"{found.length:,} wait in all")


@command("purges")
@limited
def purges(session: Session, limit: int | None) -> None:
    """List purges that can be undone: those of the last ten minutes."""
    found = session.client.queues.list_purges(limit=limit, deadline=session.deadline)
    session.out.items(found, PURGES, "no purge can be undone")
