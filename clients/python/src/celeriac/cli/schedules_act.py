"""`celeriac schedules`: run, pause, resume, delete, backfill."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli import times
from celeriac.cli.asking import confirm, plural
from celeriac.cli.failures import FAILED
from celeriac.cli.following import finish, follow
from celeriac.cli.options import asked_first, name_of, suggesting
from celeriac.cli.schedules import LISTING
from celeriac.cli.session import Session, command


@command("run")
@name_of("schedules")
@click.option("--wait", is_flag=True, help="Until its task has ended; a failure is exit code 1.")
def run(session: Session, name: str, wait: bool) -> None:
    """Run a schedule now, beside its due times."""
    with suggesting(session, "schedules", name, LISTING):
        found = session.client.schedules.trigger(name, deadline=session.deadline)
    if wait:
        session.say(f"sent as {found.task}; waiting for its end")
        found = found.wait()
    outcome = str(found.outcome or found.state or "").lower()
    error = f": {found.error}" if found.error else ""
    session.out.result(found, f"{found.task.removeprefix('tasks/')} {outcome}{error}")
    if wait and found.outcome != "SUCCEEDED":
        raise click.exceptions.Exit(FAILED)


@command("pause")
@name_of("schedules")
@click.option("-m", "--message", default="", help="Why, for those who find it paused.")
def pause(session: Session, name: str, message: str) -> None:
    """Pause a schedule: it is not due until it is resumed."""
    with suggesting(session, "schedules", name, LISTING):
        found = session.client.schedules.pause(name, note=message, deadline=session.deadline)
    session.out.result(found, f"{found.id} is paused · undo: celeriac schedules resume {found.id}")


@command("resume")
@name_of("schedules")
def resume(session: Session, name: str) -> None:
    """Resume a paused schedule."""
    with suggesting(session, "schedules", name, LISTING):
        found = session.client.schedules.resume(name, deadline=session.deadline)
    due = session.out.time(found.next_run_time) if found.next_run_time else "never"
    session.out.result(found, f"{found.id} is active · next run: {due}")


@command("delete")
@name_of("schedules")
@asked_first
def delete(session: Session, name: str, yes: bool, dry_run: bool) -> None:
    """Delete a schedule, with the history of its runs. Before, it is printed as a manifest to keep."""
    with suggesting(session, "schedules", name, LISTING):
        found = session.client.schedules.get(name, deadline=session.deadline)
    if dry_run:
        session.out.result(found, f"would delete {found.id}, with {plural(found.run_count, 'run')}")
        return
    confirm(session, f"delete {found.id} and the history of its runs", name=found.id, yes=yes)
    session.client.schedules.delete(name, etag=found.etag, deadline=session.deadline)
    session.out.result(found, f"deleted {found.id}")


@command("backfill")
@name_of("schedules")
@click.option("--since", type=times.TIME, required=True, metavar="TIME", help="From this due time on.")
@click.option("--until", type=times.TIME, metavar="TIME", help="Before this one; now when not given.")
@click.option("--rate", type=float, help="Runs a second.")
@click.option("--max-runs", type=int, help="The most runs.")
@click.option("--newest-first", is_flag=True, help="The newest due time first.")
@click.option("--detach", is_flag=True, help="Do not wait for its end.")
@asked_first
def backfill(session: Session, name: str, **given: Any) -> None:
    """Send the due times of a span of time again, at a rate."""
    asked = {
        "start_time": given["since"],
        "end_time": given["until"] or session.now,
        "rate": given["rate"],
        "max_runs": given["max_runs"],
        "order": "NEWEST_FIRST" if given["newest_first"] else None,
    }
    backfills = session.client.schedules.backfill
    with suggesting(session, "schedules", name, LISTING):
        planned = backfills(name, **asked, validate_only=True, deadline=session.deadline)
    told = f"send {plural(planned.run_count, 'run')} of {name}"
    if given["dry_run"]:
        session.out.result(planned, f"would {told}")
        return
    confirm(session, told, name=name, yes=given["yes"], count=planned.run_count)
    begun = backfills(name, **asked, deadline=session.deadline)
    operation = begun.operation
    if given["detach"] or not operation:
        session.out.result(begun, f"begun · celeriac operations wait {operation.removeprefix('operations/')}")
        return
    finish(session, follow(session, operation))
