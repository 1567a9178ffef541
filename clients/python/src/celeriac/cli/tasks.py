"""`celeriac tasks`: list, show, failures, tail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.options import limited, task_filter
from celeriac.cli.output import Column, plain
from celeriac.cli.session import Session, command
from celeriac.cli.short_ids import MOST, whole_ids
from celeriac.cli.short_ids import SHOWN as SHOWN_OF_ID

if TYPE_CHECKING:
    from celeriac.monitor.v1.tasks import FailureGroup, Task

STATES = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "ORPHANED": "red",
    "LOST": "red",
    "RETRY": "yellow",
    "REVOKED": "yellow",
    "REJECTED": "yellow",
    "STARTED": "cyan",
}


def _short(name: str) -> str:
    return name.partition("/")[2]


def age_of(task: Task) -> Any:
    """Returns the first time that is known of the task."""
    return task.sent_time or task.received_time or task.started_time or task.update_time


def _time_or_why(name: str) -> Any:
    """Returns a time; of one that is unset, whether it is still to come."""

    def time(task: Task) -> Any:
        return getattr(task, name) or ("not heard" if task.end_time else "not yet")

    return time


def error_of(task: Task) -> str:
    """Returns what went wrong, in one line."""
    return f"{task.exception_type}: {task.exception_message}".strip(": ") or task.state_reason


COLUMNS = [
    Column("ID", "id", short=SHOWN_OF_ID),
    Column("STATE", "state", styles=STATES),
    Column("TASK", "task_name", unset="not known"),
    Column("QUEUE", lambda task: _short(task.queue)),
    Column("SENT", age_of),
    Column("RUNTIME", "runtime", unset="not run"),
    Column("ERROR", error_of, unset=""),
    Column("WORKER", lambda task: _short(task.worker), wide=True),
    Column("RETRIES", "retries", wide=True),
    Column("ENDED", "end_time", wide=True),
    Column("ARGS", "args", wide=True),
    Column("KWARGS", "kwargs", wide=True),
]
SHOWN = [
    Column("id", "id"),
    Column("task", "task_name", unset="not known"),
    Column("state", "state"),
    Column("why", "state_reason", unset=""),
    Column("queue", lambda task: _short(task.queue)),
    Column("worker", lambda task: _short(task.worker), unset="none yet"),
    Column("args", "args"),
    Column("kwargs", "kwargs"),
    Column("result", "result", unset=""),
    Column("sent", "sent_time", unset="not heard"),
    Column("received", _time_or_why("received_time")),
    Column("started", _time_or_why("started_time")),
    Column("ended", "end_time", unset="not yet"),
    Column("eta", "eta", unset=""),
    Column("expires", "expires", unset=""),
    Column("runtime", "runtime", unset=""),
    Column("retries", "retries"),
    Column("error", error_of, unset=""),
    Column("run", "run", unset=""),
    Column("retry of", lambda task: _short(task.retry_of), unset=""),
    Column("retried as", lambda task: _short(task.retried_as), unset=""),
    Column("called by", lambda task: _short(task.parent), unset=""),
    Column("root", lambda task: _short(task.root), unset=""),
]
GROUPS = [
    Column("EXCEPTION", "exception_type"),
    Column("COUNT", "count"),
    Column("LAST", "last_time"),
    Column("PLACE", "place"),
    Column("MESSAGE", "message"),
    Column("TASKS", "task_names"),
    Column("FIRST", "first_time", wide=True),
    Column("NEWEST", lambda group: _short(group.newest_task), wide=True),
]


def newest(session: Session) -> Any:
    """Returns the newest tasks, among which short ids are looked for."""
    return session.client.tasks.list(limit=MOST, deadline=session.deadline)


@command("list")
@task_filter
@limited
def list_(session: Session, filters: dict[str, Any], limit: int | None) -> None:
    """List tasks, the newest first.

    celeriac tasks list --state failure,retry --task 'rvt.embed' --queue ai_analysis --since 2h --text 語音
    """
    found = session.client.tasks.list(**filters, limit=limit, deadline=session.deadline)
    session.out.items(found, COLUMNS, "no task matches")


@command("show")
@click.argument("id")
def show(session: Session, id: str) -> None:
    """Show a task: its times, its attempts, its error and traceback. The beginning of its id is enough."""
    [id] = whole_ids([id], lambda: newest(session))
    task = session.client.tasks.get(id, deadline=session.deadline)
    session.out.item(task, SHOWN)
    if session.is_data or session.format == "name":
        return
    for attempt in task.attempts:
        ended = str(attempt.end or "under way").lower()
        click.echo(f"attempt {attempt.retries + 1}\t{ended} {attempt.exception_type}".rstrip())
    if task.traceback:
        click.echo(f"\n{task.traceback.rstrip()}")


@command("failures")
@task_filter
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="The most groups.")
def failures(session: Session, filters: dict[str, Any], limit: int) -> None:
    """Failures grouped by exception and place, the most frequent first."""
    found = session.client.tasks.group_failures(filter=filters, page_size=limit, deadline=session.deadline)
    if session.is_data:
        session.out.data(plain(found))
        return
    session.out.items(found.groups, GROUPS, "no failures")
    if session.is_terminal and found.groups:
        session.say(
            f"{found.failure_count:,} failures in {found.group_count:,} groups · {_retry(found.groups)}"
        )


def _retry(groups: Any) -> str:
    first: FailureGroup = groups[0]
    return f"again: celeriac tasks retry --state failure --exception {first.exception_type}"


@command("tail")
@click.option("--state", metavar="failure,…", help="Only changes into these states.")
@click.option("--task", metavar="NAME,…", help="Only tasks of these registered names.")
@click.option("--queue", metavar="NAME,…", help="Only of these queues.")
@click.option("--worker", metavar="NAME,…", help="Only by these workers.")
@click.option("--count", type=click.IntRange(1), help="End after so many changes.")
def tail(session: Session, state: str, task: str, queue: str, worker: str, count: int | None) -> None:
    """Follow tasks as they change their state, without end. -o json writes one object a line."""
    from celeriac.gap import Gap
    from celeriac.monitor.v1.tasks import Task

    chosen = {"states": state, "task_names": task, "queues": queue, "workers": worker}
    split: dict[str, Any] = {name: value.split(",") for name, value in chosen.items() if value}
    seen = 0
    for event in session.client.monitoring.watch(**split, metrics_interval=60):
        if isinstance(event, Task):
            _tell(session, event)
            seen += 1
            if seen == count:
                return
        elif isinstance(event, Gap):
            session.say(f"… {event.count if event.count is not None else 'some'} changes are missing here")


def _tell(session: Session, task: Task) -> None:
    if session.format == "json":
        session.out.line(plain(task))
        return
    cells = [task.state or "", task.id, task.task_name, _short(task.queue), error_of(task)]
    if not session.is_terminal:
        click.echo("\t".join(map(session.out.cell, [task.update_time, *cells])))
        return
    from celeriac.cli.terminal import draw_event

    time = task.update_time.astimezone(session.zone).strftime("%H:%M:%S") if task.update_time else ""
    draw_event([time, *cells], STATES.get(task.state or "", ""), color=session.color)
