"""`celeriac system`: drain, resume, restart, shutdown, start, gaps."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli import times
from celeriac.cli.asking import confirm, plural
from celeriac.cli.following import finish, follow
from celeriac.cli.options import SEVERAL, asked_first, limited
from celeriac.cli.output import Column
from celeriac.cli.replies import answer
from celeriac.cli.session import Session, command

DETACH = click.option("--detach", is_flag=True, help="Do not wait for its end.")
LONGEST = click.option(
    "--within", "limit", type=times.DURATION, metavar="10m", help="How long tasks may take."
)
GAPS = [
    Column("ID", "id"),
    Column("STATE", lambda gap: str(gap.state or "").lower(), styles={"open": "yellow", "repaired": "green"}),
    Column("CAUSE", lambda gap: str(gap.cause or "").lower().replace("_", " ")),
    Column("FROM", "start_time"),
    Column("TO", "end_time", unset="now"),
    Column("MISSED", "missed_count", unset="unknown"),
    Column("UNDECIDED", "undecided_count", wide=True),
    Column("NOT REPAIRABLE", "not_repairable_count", wide=True),
    Column("NOTE", "note", unset="", wide=True),
]


def _concerned(found: Any) -> str:
    tasks = sum(worker.task_count or 0 for worker in found.workers)
    return f"{plural(len(found.workers), 'worker')} with {plural(tasks, 'task')}"


def _done(session: Session, found: Any, detach: bool, undo: str) -> None:
    operation = found.operation
    if operation is None or not operation.name:
        session.out.result(found, f"done · undo: {undo}" if undo else "done")
    elif detach:
        session.out.result(found, f"begun · celeriac operations wait {operation.id}")
    else:
        session.say(f"begun · undo: {undo}" if undo else "begun")
        finish(session, follow(session, operation.name))


@command("drain")
@LONGEST
@DETACH
@asked_first
def drain(session: Session, limit: Any, detach: bool, yes: bool, dry_run: bool) -> None:
    """Stop new tasks: schedules wait and workers take nothing, while what runs may end."""
    seen = session.client.system.drain(timeout=limit, validate_only=True, deadline=session.deadline)
    if dry_run:
        session.out.result(seen, f"would stop new tasks, and let end what runs: {_concerned(seen)}")
        return
    confirm(session, f"stop new tasks: {_concerned(seen)}", name="drain", yes=yes)
    found = session.client.system.drain(timeout=limit, deadline=session.deadline)
    _done(session, found, detach, "celeriac system resume")


@command("resume")
def resume(session: Session) -> None:
    """End a drain: schedules and workers go on."""
    answer(session, session.client.system.resume(deadline=session.deadline), "new tasks run again")


@command("restart")
@LONGEST
@DETACH
@asked_first
def restart(session: Session, limit: Any, detach: bool, yes: bool, dry_run: bool) -> None:
    """Restart all workers, one after another, each after its tasks. Needs a second factor."""
    system = session.client.system
    seen = system.restart(worker_timeout=limit, validate_only=True, deadline=session.deadline)
    if dry_run:
        session.out.result(seen, f"would restart {_concerned(seen)}")
        return
    confirm(session, f"restart {_concerned(seen)}", name="restart", yes=yes)
    _done(session, system.restart(worker_timeout=limit, deadline=session.deadline), detach, "")


@command("shutdown")
@LONGEST
@DETACH
@asked_first
def shutdown(session: Session, limit: Any, detach: bool, yes: bool, dry_run: bool) -> None:
    """Drain the system, then stop its workers. Needs a second factor."""
    system = session.client.system
    seen = system.shutdown(timeout=limit, validate_only=True, deadline=session.deadline)
    if dry_run:
        session.out.result(seen, f"would stop {_concerned(seen)}")
        return
    confirm(session, f"stop the system: {_concerned(seen)}", name="shutdown", yes=yes)
    found = system.shutdown(timeout=limit, deadline=session.deadline)
    _done(session, found, detach, "celeriac system start")


@command("start")
def start(session: Session) -> None:
    """Start again what was shut down."""
    answer(session, session.client.system.start(deadline=session.deadline), "new tasks run again")


@command("gaps")
@click.option("--state", type=SEVERAL, metavar="open,…", help="Only in these states.")
@limited
def gaps(session: Session, state: Any, limit: int | None) -> None:
    """List the times in which events were missed, and what was repaired of it."""
    found = session.client.system.list_event_gaps(states=state, limit=limit, deadline=session.deadline)
    session.out.items(found, GAPS, "no event was missed")
