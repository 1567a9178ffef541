"""What a schedule is now, as far as it decides whether it runs at all. Pure."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import NamedTuple

from services.scheduler.explain import steps
from services.scheduler.explain.history import History
from services.scheduler.explain.words import moment
from services.scheduler.schedule.definition import Schedule
from services.scheduler.timing.due_times import OnceTiming, next_due


class Condition(Enum):
    ACTIVE = "active"
    PAUSED = "paused"
    NOT_BEGUN = "not_begun"
    DONE = "done"
    UNREADABLE = "unreadable"


class State(NamedTuple):
    """`summary` is sentences; `next_step` too, empty where nothing is to be done."""

    condition: Condition
    summary: str
    next_step: str = ""


def condition_of(schedule: Schedule, history: History, now: dt.datetime) -> State:
    definition = schedule.definition
    if schedule.faults:
        return State(
            Condition.UNREADABLE,
            f"The schedule does not run: {schedule.fault}.",
            steps.repair(definition.id),
        )
    if definition.paused:
        return State(Condition.PAUSED, _paused(schedule, history), steps.resume(definition.id))
    if schedule.next_due_at is None:
        return _done(schedule, now)
    start = definition.bounds.start
    if start is not None and start > now:
        summary = f"The schedule has not begun: its start_time is {moment(start)}, and it is first due at"
        summary += f" {moment(schedule.next_due_at)}."
        return State(Condition.NOT_BEGUN, summary, steps.change_bound(definition.id, "start_time"))
    return State(
        Condition.ACTIVE, f"The schedule is active. It is due next at {moment(schedule.next_due_at)}."
    )


def _paused(schedule: Schedule, history: History) -> str:
    note = schedule.definition.pause_note
    told = f" The note says: {note!r}." if note else ""
    if not history.revisions:
        return f"The schedule is paused.{told}"
    pause = history.pause_of(history.revisions[0])
    if pause.kind is None:
        return f"The schedule is paused, since before {moment(pause.since)}; by whom is not known.{told}"
    return f"The schedule is paused, by {pause.by} at {moment(pause.since)}.{told}"


def _done(schedule: Schedule, now: dt.datetime) -> State:
    definition, bounds = schedule.definition, schedule.definition.bounds
    most, count = bounds.max_runs, schedule.run_count
    if most is not None and count >= most:
        summary = f"The schedule is done: it has had {count} runs, and its max_runs is {most}."
        return State(Condition.DONE, summary, steps.change_bound(definition.id, "max_runs"))
    if bounds.end is not None and next_due(definition.timing, max(now, bounds.end)) is not None:
        passed = "has passed" if bounds.end < now else "leaves it no due time"
        summary = f"The schedule is done: its end_time, {moment(bounds.end)}, {passed}."
        return State(Condition.DONE, summary, steps.change_bound(definition.id, "end_time"))
    if isinstance(definition.timing, OnceTiming):
        summary = f"The schedule is done: its only due time was {moment(definition.timing.at)}."
    else:
        summary = "The schedule is done: its timing has no further due time."
    return State(Condition.DONE, summary, steps.send_again(definition.id))
