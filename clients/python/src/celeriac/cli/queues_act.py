"""`celeriac queues`: pause, resume, purge, restore, move."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli.asking import confirm, plural
from celeriac.cli.failures import PARTLY
from celeriac.cli.options import SEVERAL, asked_first, name_of, suggesting
from celeriac.cli.queues import LISTING
from celeriac.cli.replies import answer
from celeriac.cli.session import Session, command


@command("pause")
@name_of("queues")
@click.option("-m", "--message", default="", help="Why, for those who find it paused.")
@click.option("--dry-run", is_flag=True, help="Only say who would be told.")
def pause(session: Session, name: str, message: str, dry_run: bool) -> None:
    """Stop the consumers of a queue: what waits there goes on waiting."""
    with suggesting(session, "queues", name, LISTING):
        found = session.client.queues.pause(
            name, reason=message, validate_only=dry_run, deadline=session.deadline
        )
    told = "would be paused" if dry_run else f"is paused · undo: celeriac queues resume {name}"
    answer(session, found, f"{name} {told}")


@command("resume")
@name_of("queues")
def resume(session: Session, name: str) -> None:
    """Bring the consumers of a paused queue back."""
    with suggesting(session, "queues", name, LISTING):
        found = session.client.queues.resume(name, deadline=session.deadline)
    answer(session, found, f"{name} is consumed again")


@command("purge")
@name_of("queues")
@click.option("--count", type=click.IntRange(1), help="Only so many, those that workers would take first.")
@click.option("--without-undo", is_flag=True, help="Do not keep them for an undo.")
@asked_first
def purge(
    session: Session, name: str, count: int | None, without_undo: bool, yes: bool, dry_run: bool
) -> None:
    """Remove the messages of a queue. For ten minutes they can be restored."""
    queues = session.client.queues
    with suggesting(session, "queues", name, LISTING):
        queue = queues.get(name, deadline=session.deadline)
    length = queue.length if count is None else min(count, queue.length)
    told = f"purge {plural(length, 'message')} of {queue.id}"
    if not length:
        session.out.result(queue, f"nothing waits in {queue.id}")
        return
    if dry_run:
        oldest = (
            f", the oldest of {session.out.time(queue.oldest_sent_time)}" if queue.oldest_sent_time else ""
        )
        session.out.result(queue, f"would {told}{oldest}")
        return
    confirm(session, told, name=queue.id, yes=yes, count=length)
    done = queues.purge(
        name,
        queue.length,
        count=count,
        without_undo=without_undo,
        deadline=session.deadline,
    )
    undo = "" if without_undo else f" · undo: celeriac queues restore {done.id}"
    session.out.result(done, f"purged {plural(done.purged_count, 'message')} of {queue.id}{undo}")


@command("restore")
@click.argument("purge")
@click.option("--dry-run", is_flag=True, help="Only say how many would be put back.")
def restore(session: Session, purge: str, dry_run: bool) -> None:
    """Undo a purge: its messages come back to their queue."""
    found = session.client.queues.undo_purge(purge, validate_only=dry_run, deadline=session.deadline)
    told = f"{plural(found.restored_count, 'message')} {'would go' if dry_run else 'went'} back"
    session.out.result(found, f"{told} to {found.queue.partition('/')[2]}")


@command("move")
@name_of("queues")
@click.argument("to")
@click.option("--count", type=click.IntRange(1), help="Only so many, those that workers would take first.")
@click.option("--task", type=SEVERAL, metavar="NAME,…", help="Only of these registered names.")
@click.option("--id", "ids", type=SEVERAL, metavar="ID,…", help="Only of these tasks.")
@asked_first
def move(session: Session, name: str, to: str, yes: bool, dry_run: bool, **chosen: Any) -> None:
    """Move messages of a queue to another one, which must exist."""
    asked = {"count": chosen["count"], "task_names": chosen["task"], "tasks": chosen["ids"]}
    moves = session.client.queues.move_messages
    with suggesting(session, "queues", (name, to), LISTING):
        seen = moves(name, to, **asked, validate_only=True, deadline=session.deadline)
    told = f"move {plural(seen.moved_count, 'message')} from {name} to {to}"
    if dry_run or not seen.moved_count:
        session.out.result(seen, f"would {told}")
        return
    confirm(session, told, name=name, yes=yes, count=seen.moved_count)
    done = moves(name, to, **asked, deadline=session.deadline)
    rest = "" if done.complete else " · more may match: again"
    session.out.result(done, f"moved {plural(done.moved_count, 'message')} to {to}{rest}")
    if not done.complete:
        raise click.exceptions.Exit(PARTLY)
