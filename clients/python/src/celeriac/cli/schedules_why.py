"""`celeriac schedules explain` and `preview`: why it did not run, and when it will."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from celeriac.cli.asking import plural
from celeriac.cli.options import name_of, suggesting, within
from celeriac.cli.output import Column, plain
from celeriac.cli.schedules import LISTING
from celeriac.cli.session import Session, command
from celeriac.cli.widths import printable

if TYPE_CHECKING:
    from celeriac.scheduler.v1.schedules import DueTimeExplanation, ExplainScheduleResponse

DECISIONS = {
    "sent": "green",
    "missed": "red",
    "overdue": "red",
    "lost": "red",
    "refused": "red",
    "unreadable": "red",
    "held back": "yellow",
    "overlapped": "yellow",
    "paused": "yellow",
}

# Of a due time that a change of the clocks has to do with.
CLOCKS = {
    "SKIPPED": "end of the gap",
    "FIRST_ONLY": "first of two, the only one",
    "SECOND_PASS": "second time",
}


def _decision(found: DueTimeExplanation) -> str:
    return str(found.decision or "unknown").lower().replace("_", " ")


COLUMNS = [
    Column("DUE", "due_time"),
    Column("DECISION", _decision, styles=DECISIONS),
    Column("OUTCOME", lambda found: found.run and found.run.outcome and found.run.outcome.lower()),
    Column("WHY", "reason"),
    Column("NEXT STEP", "next_step"),
]


@command("explain")
@name_of("schedules")
@click.option(
    "--count", type=click.IntRange(1, 200), default=10, show_default=True, help="How many due times."
)
@within
def explain(session: Session, name: str, **asked: Any) -> None:
    """Say why a schedule did or did not run: each due time, what was decided, and what to do."""
    with suggesting(session, "schedules", name, LISTING):
        found = session.client.schedules.explain(name, **asked, deadline=session.deadline)
    if session.is_data:
        session.out.data(plain(found))
        return
    for line in _summary(found):
        _say(session, session.out.sentence(line))
    if session.is_terminal and not session.format:
        _tell(session, found)
    else:
        session.out.items(found.due_times, COLUMNS)
    if session.is_terminal and found.older_left_out:
        session.say(f"older ones: celeriac schedules explain {name} --count 200 --since 31d")


def _summary(found: ExplainScheduleResponse) -> list[str]:
    lines = [found.summary]
    if found.next_step:
        lines.append(f"what to do: {found.next_step}")
    lines += [f"{_queue(queue)}" for queue in found.queues]
    if found.monitor_fault:
        lines.append(f"the monitor did not tell all: {found.monitor_fault}")
    return lines


def _say(session: Session, line: str) -> None:
    if not session.is_terminal:
        click.echo(printable(line))
        return
    from celeriac.cli.terminal import draw_text

    draw_text(line, color=session.color)


def _tell(session: Session, found: ExplainScheduleResponse) -> None:
    """On a terminal: a paragraph for each due time, as the reasons are sentences."""
    from celeriac.cli.terminal import draw_paragraph

    if not found.due_times:
        session.say("no due time in this window")
    for each in found.due_times:
        decision, outcome = _decision(each), each.run and each.run.outcome
        due = session.out.time(each.due_time) if each.due_time else "at a time that is not known"
        head = f"{due}  {decision}" + (f", {outcome.lower()}" if outcome else "")
        style = DECISIONS.get(decision, "") if outcome != "FAILED" else "red"
        texts = [session.out.sentence(text) for text in (each.reason, each.next_step)]
        draw_paragraph(head, texts, style, color=session.color)


def _queue(queue: Any) -> str:
    told = f"queue {queue.queue.removeprefix('queues/')}: {plural(queue.length, 'message')} in it"
    consumers = ", ".join(each.removeprefix("workers/") for each in queue.consumers)
    told += f", consumed by {consumers}" if consumers else ", no worker consumes it"
    return told + (", paused" if queue.pause_time else "")


@command("preview")
@name_of("schedules", required=False)
@click.option("--crontab", metavar="'30 3 * * *'", help="A crontab in place of a schedule.")
@click.option("--in", "zone", metavar="ZONE", help="The crontab's zone, such as Asia/Taipei.")
@click.option("--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many.")
def preview(session: Session, name: str | None, crontab: str | None, zone: str | None, count: int) -> None:
    """Show the next due times of a schedule, or of a crontab."""
    if (name is None) == (crontab is None):
        raise click.UsageError("give a schedule's name, or --crontab, and not both")
    timing = {"crontab": crontab, "time_zone": zone} if crontab else None
    with suggesting(session, "schedules", name or "", LISTING):
        found = session.client.schedules.preview_times(
            name=name, timing=timing, count=count, deadline=session.deadline
        )
    if session.is_data:
        session.out.data(plain(found))
        return
    rows = list(zip(found.times, found.send_times or found.times, strict=True))
    effects = {mark.time: CLOCKS.get(str(mark.effect), "") for mark in found.clock_marks}
    columns = [
        Column("DUE", lambda row: row[0]),
        Column("SENT", lambda row: row[1], wide=True),
        # Most previews have no such night.
        *([Column("CLOCKS", lambda row: effects.get(row[0], ""))] if effects else []),
    ]
    session.out.items(rows, columns, "never due")
