"""`celeriac workers`: grow, shrink, add-consumer, cancel-consumer, restart, shutdown, forget."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from celeriac.cli import names as names_of
from celeriac.cli import times
from celeriac.cli.asking import confirm, plural
from celeriac.cli.options import asked_first, name_of, suggesting
from celeriac.cli.replies import answer
from celeriac.cli.session import Session, command
from celeriac.cli.workers import LISTING

ALL = click.option("--all", "all_", is_flag=True, help="All workers.")
COUNT = click.option(
    "--count", type=click.IntRange(1), default=1, show_default=True, help="How many processes."
)


def _chosen(names: tuple[str, ...], all_: bool) -> dict[str, Any]:
    if bool(names) == all_:
        raise click.UsageError("name workers, or give --all, and not both")
    return {"workers": names or None, "all": all_ or None}


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "all workers"


def _told(names: tuple[str, ...], all_: bool, call: Callable[..., Any], session: Session, **more: Any) -> Any:
    with suggesting(session, "workers", names[0] if names else "", LISTING):
        return call(**_chosen(names, all_), **more, deadline=session.deadline)


@command("grow")
@name_of("workers", required=False, several=True)
@ALL
@COUNT
def grow(session: Session, names: tuple[str, ...], all_: bool, count: int) -> None:
    """Add processes to the pool of workers."""
    found = _told(names, all_, session.client.workers.grow_pool, session, count=count)
    undo = " ".join(names) or "--all"
    answer(session, found, f"{count} more · undo: celeriac workers shrink {undo} --count {count}")


@command("shrink")
@name_of("workers", required=False, several=True)
@ALL
@COUNT
def shrink(session: Session, names: tuple[str, ...], all_: bool, count: int) -> None:
    """Take processes from the pool of workers."""
    found = _told(names, all_, session.client.workers.shrink_pool, session, count=count)
    undo = " ".join(names) or "--all"
    answer(session, found, f"{count} fewer · undo: celeriac workers grow {undo} --count {count}")


@command("add-consumer")
@click.argument("queue", shell_complete=names_of.completing("queues"))
@name_of("workers", required=False, several=True)
@ALL
def add_consumer(session: Session, queue: str, names: tuple[str, ...], all_: bool) -> None:
    """Have workers consume a queue, too, until they are started again.

    celeriac workers add-consumer ai_analysis --all
    """
    found = _told(names, all_, partial(session.client.workers.add_consumer, queue), session)
    undo = f"celeriac workers cancel-consumer {queue} {' '.join(names) or '--all'}"
    answer(session, found, f"{_shown(names)} told to consume {queue} · undo: {undo}")


@command("cancel-consumer")
@click.argument("queue", shell_complete=names_of.completing("queues"))
@name_of("workers", required=False, several=True)
@ALL
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def cancel_consumer(session: Session, queue: str, names: tuple[str, ...], all_: bool, yes: bool) -> None:
    """Have workers consume a queue no more, until they are started again. What they have taken is still run.

    To stop all consumers of a queue, also those that start later: celeriac queues pause.
    """
    _chosen(names, all_)
    confirm(session, f"have {_shown(names)} consume {queue} no more", name=queue, yes=yes)
    found = _told(names, all_, partial(session.client.workers.cancel_consumer, queue), session)
    undo = f"celeriac workers add-consumer {queue} {' '.join(names) or '--all'}"
    answer(session, found, f"{_shown(names)} told to consume {queue} no more · undo: {undo}")


@command("restart")
@name_of("workers", required=False, several=True)
@ALL
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def restart(session: Session, names: tuple[str, ...], all_: bool, yes: bool) -> None:
    """Restart the pool of workers, which loads their code again."""
    _chosen(names, all_)
    confirm(session, f"restart the pool of {_shown(names)}", name="restart", yes=yes)
    answer(session, _told(names, all_, session.client.workers.restart_pool, session), "restarted")


@command("shutdown")
@name_of("workers", required=False, several=True)
@ALL
@click.option("--wait", type=times.DURATION, metavar="10s", help="How long to wait until they have gone.")
@asked_first
def shutdown(
    session: Session, names: tuple[str, ...], all_: bool, wait: Any, yes: bool, dry_run: bool
) -> None:
    """End workers after the tasks that they run. Nothing starts them again but their supervisor."""
    call = session.client.workers.shutdown
    seen = _told(names, all_, call, session, validate_only=True)
    active = sum(worker.active_count or 0 for worker in seen.workers)
    told = f"end {plural(len(seen.workers), 'worker')}, which run {plural(active, 'task')}"
    if dry_run:
        session.out.result(seen, f"would {told}")
        return
    confirm(session, told, name="shutdown", yes=yes, count=len(seen.workers))
    answer(session, _told(names, all_, call, session, wait=wait), "told to end")


@command("forget")
@name_of("workers")
def forget(session: Session, name: str) -> None:
    """Forget a worker that is silent or gone."""
    with suggesting(session, "workers", name, LISTING):
        session.client.workers.delete(name, deadline=session.deadline)
    session.out.result({"forgotten": name}, f"forgot {name}")
