"""`celeriac schedules`: list, show, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli import names, times
from celeriac.cli.options import limited, name_of, schedule_filter, suggesting, within
from celeriac.cli.output import Column
from celeriac.cli.session import Session, command

if TYPE_CHECKING:
    from celeriac.scheduler.v1.schedules import Schedule

LISTING = "celeriac schedules list"
STATES = {"active": "green", "paused": "yellow", "done": "dim", "unreadable": "red"}
OUTCOMES = {"succeeded": "green", "failed": "red", "revoked": "yellow", "lost": "red", "skipped": "yellow"}


def state_of(schedule: Schedule) -> str:
    """Returns what an unset next run means: "paused", "done"."""
    if schedule.fault:
        return "unreadable"
    if schedule.paused:
        return "paused"
    return "active" if schedule.next_run_time else "done"


def timing_of(schedule: Schedule) -> str:
    """Returns when it is due, in a few words: "30 3 * * * Asia/Taipei", "every 5m"."""
    timing = schedule.timing
    if timing is None:
        return ""
    zone = f" {timing.time_zone}" if timing.time_zone else ""
    if timing.crontab is not None:
        return f"{timing.crontab.expression}{zone}"
    if timing.interval is not None and timing.interval.every is not None:
        return f"every {times.short(timing.interval.every)}"
    if timing.once is not None and timing.once.at is not None:
        return f"once {times.rfc3339(timing.once.at)}"
    return f"{str(timing.solar.event).lower()}{zone}" if timing.solar is not None else ""


def queue_of(schedule: Schedule) -> str:
    return schedule.task.queue.removeprefix("queues/") if schedule.task else ""


def next_of(schedule: Schedule) -> Any:
    return schedule.next_run_time or state_of(schedule)


COLUMNS = [
    Column("NAME", "id"),
    Column("STATE", state_of, styles=STATES),
    Column("NEXT", next_of),
    Column("LAST", "last_run_time", unset="never"),
    Column("TIMING", timing_of),
    Column("QUEUE", queue_of),
    Column("TASK", lambda schedule: schedule.task.task_name if schedule.task else ""),
    Column("RUNS", "run_count", wide=True),
    Column("LABELS", lambda schedule: _labels(schedule.labels), wide=True),
    Column("DESCRIPTION", "description", wide=True),
]
SHOWN = [
    Column("name", "id"),
    Column("state", lambda schedule: f"{state_of(schedule)} {schedule.pause_note}".strip()),
    Column("fault", "fault", unset=""),
    Column("timing", timing_of),
    Column("next run", next_of),
    Column("last run", "last_run_time", unset="never"),
    Column("runs", "run_count"),
    Column("task", lambda schedule: schedule.task.task_name if schedule.task else ""),
    Column("queue", queue_of),
    Column("args", lambda schedule: schedule.task.args_json if schedule.task else ""),
    Column("kwargs", lambda schedule: schedule.task.kwargs_json if schedule.task else ""),
    Column("misfire", lambda schedule: schedule.misfire_policy and schedule.misfire_policy.action),
    Column("overlap", "overlap_policy"),
    Column("jitter", "jitter", unset="none"),
    Column("starts", "start_time", unset=""),
    Column("ends", "end_time", unset=""),
    Column("labels", lambda schedule: _labels(schedule.labels)),
    Column("description", "description"),
    Column("created", "create_time"),
    Column("changed", "update_time"),
    Column("etag", "etag"),
]
RUNS = [
    Column("RUN", lambda run: run.name.removeprefix("schedules/").replace("/runs/", "/")),
    Column("DUE", "due_time"),
    Column("STATE", lambda run: run.state and run.state.lower(), styles=OUTCOMES),
    Column("OUTCOME", lambda run: run.outcome and run.outcome.lower(), unset="none yet", styles=OUTCOMES),
    Column("RUNTIME", "runtime"),
    Column("ERROR", lambda run: run.error or run.reason),
    Column("TASK", lambda run: run.task.removeprefix("tasks/"), wide=True),
    Column("ENDED", "end_time", wide=True),
]


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))


@command("list")
@schedule_filter
@click.option("--by-next-run", is_flag=True, help="The earliest due first, and only those that are due.")
@limited
def list_(session: Session, filters: dict[str, Any], by_next_run: bool, limit: int | None) -> None:
    """List schedules, by name.

    celeriac schedules list --label team=growth --queue ai_analysis
    """
    order = "next_run_time" if by_next_run else None
    found = session.client.schedules.list(
        **filters, order_by=order, limit=limit, deadline=session.deadline
    ).all()
    if not filters:
        names.keep("schedules", [schedule.id for schedule in found])
    session.out.items(found, COLUMNS, "no schedule matches · celeriac schedules create --help")


@command("show")
@name_of("schedules")
def show(session: Session, name: str) -> None:
    """Show a schedule."""
    with suggesting(session, "schedules", name, LISTING):
        session.out.item(session.client.schedules.get(name, deadline=session.deadline), SHOWN)


@command("runs")
@name_of("schedules", required=False)
@click.option("--outcome", metavar="failed,…", help="Only with these outcomes.")
@click.option("--state", metavar="skipped,…", help="Only in these states.")
@within
@limited
def runs(session: Session, name: str | None, outcome: str, state: str, **found: Any) -> None:
    """List runs of a schedule, or of all, the newest first."""
    states: Any = state.split(",") if state else None
    outcomes: Any = outcome.split(",") if outcome else None
    with suggesting(session, "schedules", name or "", LISTING):
        listed = session.client.schedules.list_runs(
            parent=name, states=states, outcomes=outcomes, **found, deadline=session.deadline
        )
        session.out.items(listed, RUNS, "no run matches")
