"""`celeriac tasks`: run, retry, revoke, terminate."""

from __future__ import annotations

from typing import Any

import click

from celeriac.cli import times
from celeriac.cli.asking import confirm, plural
from celeriac.cli.failures import PARTLY
from celeriac.cli.following import finish, follow
from celeriac.cli.options import asked_first, task_filter
from celeriac.cli.replies import answer, in_lines, is_fine
from celeriac.cli.schedules_edit import json_option
from celeriac.cli.session import Session, command
from celeriac.cli.several import for_each
from celeriac.cli.short_ids import whole_ids
from celeriac.cli.tasks import newest


@command("run")
@click.argument("task")
@click.option("--args", callback=json_option, metavar="JSON", help="Arguments, such as '[7]'.")
@click.option(
    "--kwargs", callback=json_option, metavar="JSON", help="Named arguments, such as '{\"month\": 12}'."
)
@click.option("--queue", help="Where to send it.")
@click.option("--countdown", type=times.DURATION, metavar="5m", help="Not before so long from now.")
@click.option("--dry-run", is_flag=True, help="Only check whether a worker would take it.")
def run(session: Session, task: str, dry_run: bool, **given: Any) -> None:
    """Run a task by its registered name."""
    found = session.client.tasks.run(task, **given, validate_only=dry_run, deadline=session.deadline)
    workers = ", ".join(each.partition("/")[2] for each in found.workers) or "none that is known"
    sent = found.task.partition("/")[2]
    told = f"would be sent; workers that have it: {workers}" if dry_run else f"sent as {sent}"
    session.out.result(found, told)


def _one_or_matching(ids: tuple[str, ...], filters: dict[str, Any]) -> None:
    if bool(ids) == bool(filters):
        raise click.UsageError(
            "give ids of tasks, or filters such as --state failure --since 2h, and not both"
        )


@command("retry")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@task_filter
@click.option("--rate", type=float, default=10.0, show_default=True, help="Messages a second, of a filter.")
@click.option("--to", metavar="QUEUE", help="The queue, where nothing tells it; for one task: instead.")
@click.option("--detach", is_flag=True, help="Do not wait for its end.")
@asked_first
def retry(
    session: Session, ids: tuple[str, ...], filters: dict[str, Any], yes: bool, dry_run: bool, **given: Any
) -> None:
    """Run ended tasks again: some by id, or all that match a filter, at a rate.

    celeriac tasks retry --state failure --since 2h --dry-run
    """
    _one_or_matching(ids, filters)
    if ids:
        ids = whole_ids(ids, lambda: newest(session))
        for_each(session, ids, lambda id: _retried(session, id, given["to"], dry_run))
        return
    asked = {"rate": given["rate"], "fallback_queue": given["to"], "deadline": session.deadline}
    matching = session.client.tasks.retry_matching
    seen = matching(filters, **asked, validate_only=True)
    refused = "".join(f"\n  {each.count:,} can't: {each.message or each.reason}" for each in seen.refusals)
    told = f"{plural(seen.matched_count, 'task')} match, {seen.retryable_count:,} can be retried{refused}"
    if dry_run or not seen.retryable_count:
        session.out.result(seen, told)
        return
    session.say(told)
    act = f"retry {plural(seen.retryable_count, 'task')}"
    confirm(session, act, name="retry", yes=yes, count=seen.retryable_count)
    begun = matching(filters, **asked, expected_count=seen.matched_count)
    if given["detach"]:
        session.out.result(begun, f"begun · celeriac operations wait {begun.operation.partition('/')[2]}")
    elif begun.operation:
        finish(session, follow(session, begun.operation))


def _retried(session: Session, id: str, queue: str | None, dry_run: bool) -> tuple[Any, str]:
    found = session.client.tasks.retry(id, queue=queue, validate_only=dry_run, deadline=session.deadline)
    told = "could be retried" if dry_run else f"retried as {found.task.partition('/')[2]}"
    return found, f"{id} {told}"


@command("revoke")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@task_filter
@asked_first
def revoke(session: Session, ids: tuple[str, ...], filters: dict[str, Any], yes: bool, dry_run: bool) -> None:
    """Revoke tasks that have not begun: workers drop them. Those that run go on (see terminate)."""
    _one_or_matching(ids, filters)
    if ids:
        _each(session, ids, "revoke", yes, dry_run, terminate=False)
        return
    matching = session.client.tasks.revoke_matching
    seen = matching(filters, validate_only=True, deadline=session.deadline)
    told = f"revoke {plural(seen.matched_count, 'task')}"
    if dry_run or not seen.matched_count:
        session.out.result(seen, f"would {told}")
        return
    confirm(session, told, name="revoke", yes=yes, count=seen.matched_count)
    done = matching(filters, expected_count=seen.matched_count, deadline=session.deadline)
    answer(session, done, f"revoked {plural(done.matched_count, 'task')}")


@command("terminate")
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--signal", help="The signal; SIGTERM when not given.")
@asked_first
def terminate(session: Session, ids: tuple[str, ...], signal: str | None, yes: bool, dry_run: bool) -> None:
    """Revoke tasks, and kill the processes that run them: what they were doing is left half done."""
    _each(session, ids, "terminate", yes, dry_run, terminate=True, signal=signal)


def _each(session: Session, typed: tuple[str, ...], verb: str, yes: bool, dry_run: bool, **how: Any) -> None:
    ids = whole_ids(typed, lambda: newest(session))

    def would(id: str) -> tuple[Any, str]:
        task = session.client.tasks.get(id, deadline=session.deadline)
        return task, f"would {verb} {task.id} ({task.task_name}, {task.state})"

    def revoked(id: str) -> tuple[Any, str]:
        found = session.client.tasks.revoke(id, **how, deadline=session.deadline)
        return found, "\n".join(
            [f"{id}: told {plural(len(found.replies), 'worker')}", *in_lines(found.replies)]
        )

    if dry_run:
        for_each(session, ids, would)
        return
    confirm(session, f"{verb} {ids[0] if len(ids) == 1 else plural(len(ids), 'task')}", name=verb, yes=yes)
    if not all(is_fine(found.replies) for found in for_each(session, ids, revoked)):
        raise click.exceptions.Exit(PARTLY)
