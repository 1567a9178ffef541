"""`celeriac status`: one screen that says whether it is us, and what."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import click

from celeriac.cli import times
from celeriac.cli.failures import FAILED
from celeriac.cli.output import Column, plain
from celeriac.cli.queues import STATES as QUEUE_STATES
from celeriac.cli.queues import state_of as state_of_queue
from celeriac.cli.session import Session, command
from celeriac.cli.short_ids import SHOWN
from celeriac.cli.widths import printable
from celeriac.cli.workers import COLUMNS as WORKER_COLUMNS
from celeriac.exceptions import Error

if TYPE_CHECKING:
    from celeriac.monitor.v1.monitoring import GetDashboardResponse

HEALTH = {"healthy": "green", "degraded": "yellow", "unhealthy": "red"}
REFRESH_SECONDS = 2.0


def _health(component: Any) -> str:
    return str(component.health or "unknown").lower()


COMPONENTS = [
    Column("COMPONENT", "component"),
    Column("HEALTH", _health, styles=HEALTH),
    Column("LATENCY", "latency"),
    Column("DETAIL", "detail"),
]
QUEUES = [
    Column("QUEUE", "id"),
    Column("STATE", state_of_queue, styles=QUEUE_STATES),
    Column("LENGTH", "length"),
    Column("OLDEST", "oldest_sent_time"),
    Column("CONSUMERS", "consumer_count"),
]
FAILURES = [
    Column("TASK", "task_name"),
    Column("ENDED", lambda task: task.end_time or task.update_time),
    Column("ERROR", lambda task: f"{task.exception_type}: {task.exception_message}".strip(": ")),
    Column("ID", "id", short=SHOWN),
]
NEXT = [
    Column("SCHEDULE", lambda run: run.schedule.partition("/")[2]),
    Column("DUE", "next_run_time"),
    Column("TASK", "task_name"),
]
LEAST = 2


@command("status")
@click.option("--watch", is_flag=True, help="Again every two seconds, until Ctrl-C.")
def status(session: Session, watch: bool) -> None:
    """One screen: components, queues, workers, failures, next runs. Exit code 0 only if all is healthy."""
    while True:
        found = session.client.monitoring.get_dashboard(deadline=session.deadline)
        if watch and session.is_terminal:
            click.clear()
        _show(session, found)
        if not watch:
            break
        time.sleep(REFRESH_SECONDS)
        session.now = dt.datetime.now(times.UTC)
    if found.health != "HEALTHY":
        raise click.exceptions.Exit(FAILED)


def _show(session: Session, found: GetDashboardResponse) -> None:
    if session.is_data:
        session.out.data(plain(found))
        return
    if not (session.is_terminal or session.format):
        _rows(session, found)
        return
    health = str(found.health or "unknown").lower()
    metrics = found.metrics
    click.secho(
        f"{session.client.target}: {health}", bold=True, fg=HEALTH.get(health) if session.color else None
    )
    if metrics is not None:
        click.echo(
            f"{metrics.succeeded_per_second:.3g} succeed and {metrics.failed_per_second:.3g} fail a second, "
            f"{metrics.active_tasks:,} run, {metrics.online_workers:,} workers are online"
        )
    for each in found.missing_parts:
        click.echo(f"not known: {each.part}: {each.reason}")
    troubled = [each for each in found.components if each.health != "HEALTHY"]
    if not troubled:
        click.echo(f"all {len(found.components)} components are healthy")
    _section(session, "", troubled, COMPONENTS)
    queues = sorted(_queues(session), key=_urgency)
    _section(session, "queues list", queues, QUEUES)
    _section(session, "workers list", found.workers, WORKER_COLUMNS[:5])
    _section(session, "tasks failures", found.recent_failures, FAILURES)
    _section(session, "schedules list --by-next-run", found.next_runs, NEXT)


def _urgency(queue: Any) -> tuple[bool, int]:
    return state_of_queue(queue) != "no consumer", -queue.length


def _queues(session: Session) -> list[Any]:
    """Returns the queues with their consumers, which the dashboard does not have."""
    try:
        return session.client.queues.list(limit=100, deadline=session.deadline).all()
    except Error as error:
        session.say(f"not known: queues: {error.message}")
        return []


def _section(session: Session, more: str, items: Any, columns: list[Column]) -> None:
    if not items:
        return
    click.echo("")
    # Four sections share the screen, each with a blank line, its titles and what is left out.
    most = max(LEAST, (session.rows - 8) // 4 - 3)
    session.out.items(items[:most] if more else items, columns)
    if more and len(items) > most:
        click.echo(f"… {len(items) - most:,} more: celeriac {more}")


def _rows(session: Session, found: GetDashboardResponse) -> None:
    """In a pipe: a line for each thing, which begins with its kind."""
    click.echo(f"system\t{session.client.target}\t{_health(found)}")
    for component in found.components:
        click.echo(f"component\t{component.component}\t{_health(component)}\t{printable(component.detail)}")
    for queue in _queues(session):
        click.echo(f"queue\t{printable(queue.id)}\t{state_of_queue(queue)}\t{queue.length}")
    for worker in found.workers:
        click.echo(f"worker\t{printable(worker.id)}\t{str(worker.state).lower()}\t{worker.active}")
    for task in found.recent_failures:
        click.echo(
            f"failure\t{printable(task.id)}\t{printable(task.task_name)}\t{printable(task.exception_type)}"
        )
    for run in found.next_runs:
        due = session.out.text_of(run.next_run_time, "")
        click.echo(f"next\t{printable(run.schedule.partition('/')[2])}\t{due}\t{printable(run.task_name)}")
