"""Decides what becomes of waiting runs while an earlier run of their schedule may still be going. Pure.

The monitor knows whether a task is going. Where it does not, the scheduler must neither start a run beside
another nor wait for ever for one whose end was missed. So a run counts as going for a bounded time:

- The monitor knows the task and it has not ended: until nothing new was heard of it for `LONGEST`. For a
  started task with a hard time limit, that limit plus a minute is used instead.
- The monitor does not know the task, or is away: until `UNHEARD` after the run was published. If there is a
  hard time limit, that limit plus a minute is used instead.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.scheduler.runs.monitor_client import Heard
from services.scheduler.schedule.definition import Overlap, RunState, task_id

LONGEST = dt.timedelta(hours=24)
UNHEARD = dt.timedelta(hours=1)
WAITS, WAITED = "; waits: ", "; waited: "
AFTER_LIMIT = dt.timedelta(minutes=1)


class LiveRun(NamedTuple):
    """A run of a schedule that forbids overlap: waiting, or sent and not known to have ended."""

    schedule_id: str
    due_at: dt.datetime
    state: RunState
    reason: str
    published_at: dt.datetime | None
    task_namespace: bytes | None = None

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at, self.task_namespace)


class Answer(NamedTuple):
    """The monitor's answer about the tasks in `asked`. `away` says why it gave none, or only a part."""

    asked: frozenset[str]
    heard: Mapping[str, Heard]
    away: str = ""


class Change(NamedTuple):
    """The new state of a waiting run, and its reason."""

    run: LiveRun
    state: RunState
    reason: str


class Verdict(NamedTuple):
    """The changes of a schedule's waiting runs, and the runs whose tasks are to be terminated."""

    changes: Sequence[Change]
    cancel: Sequence[LiveRun] = ()


def decide_overlap(
    overlap: Overlap,
    time_limit: float | None,
    runs: Sequence[LiveRun],
    answer: Answer,
    now: dt.datetime,
) -> Verdict:
    """Decides on the runs of one schedule, given oldest first. `time_limit`: the hard one, in seconds."""
    waiting = [run for run in runs if run.state is RunState.WAITING]
    if overlap is Overlap.ALLOW:
        return Verdict([_go(run) for run in waiting])
    going = {
        run: why
        for run in runs
        if run.state is not RunState.WAITING and (why := why_going(run, time_limit, answer, now)) is not None
    }
    changes: list[Change] = []
    if waiting and not going:
        first = waiting.pop(-1 if overlap is Overlap.CANCEL else 0)
        changes.append(_go(first))
        going = {first: "is being sent"}
    if not waiting:
        return Verdict(changes)
    run, why = list(going.items())[-1]
    other = f"the run of {_moment(run.due_at)} {why}"
    if overlap is Overlap.SKIP:
        return Verdict(changes + [_skip(each, f"{other}; its policy is to skip") for each in waiting])
    if overlap is Overlap.QUEUE:
        next_one, rest = waiting[0], waiting[1:]
        because = f"the run of {_moment(next_one.due_at)} waits already"
        changes += [_skip(each, because) for each in rest]
        return Verdict(changes + _wait(next_one, other))
    newest = waiting[-1] if not changes else changes[0].run
    changes += [
        _skip(each, f"the run of {_moment(newest.due_at)} took its place")
        for each in waiting
        if each != newest
    ]
    if newest in waiting:
        changes += _wait(newest, f"{other}, which is being terminated")
        return Verdict(changes, list(going))
    return Verdict(changes)


def why_going(run: LiveRun, time_limit: float | None, answer: Answer, now: dt.datetime) -> str | None:
    """Returns why a run that was sent counts as going; None when it does not."""
    if run.state is RunState.PENDING or run.published_at is None or run.task_id not in answer.asked:
        return "is being sent"
    limit = None if time_limit is None else dt.timedelta(seconds=time_limit) + AFTER_LIMIT
    heard = answer.heard.get(run.task_id)
    if heard is not None:
        if heard.ended:
            return None
        longest = limit if limit and heard.state == "STARTED" else LONGEST
        return f"is still going ({heard.state})" if now - heard.updated_at < longest else None
    until = run.published_at + (limit or UNHEARD)
    if now >= until:
        return None
    unsure = "the monitor is away" if answer.away else "the monitor has not heard of it"
    return f"may be going: {unsure}, so it counts as going until {_moment(until)}"


def _go(run: LiveRun) -> Change:
    return Change(run, RunState.PENDING, run.reason.replace(WAITS, WAITED))


def _skip(run: LiveRun, because: str) -> Change:
    return Change(run, RunState.SKIPPED, f"{run.reason}; {because}"[:500])


def _wait(run: LiveRun, other: str) -> list[Change]:
    """Adds what the run waits for to its reason, unless that is there already."""
    if WAITS in run.reason:
        return []
    return [Change(run, RunState.WAITING, f"{run.reason}{WAITS}{other}"[:500])]


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
