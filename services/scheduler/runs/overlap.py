"""Whether a run may go, while an earlier one of its schedule may still be going. Pure.

Whether a task is going is the monitor's to say. Where it can't say, the scheduler must neither start a run
beside another nor wait for ever for one whose end nobody heard. So each answer has a bound:

- heard of and not ended: going, until nothing new was heard of it for `LONGEST`, or, once it was started, for
  as long as its hard time limit (and a minute);
- never heard of, or the monitor is away: going until `UNHEARD` after it was sent, or its hard time limit (and
  a minute).
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
    """A run of an exclusive schedule: waiting, or sent and not known to have ended."""

    schedule_id: str
    due_at: dt.datetime
    state: RunState
    reason: str
    published_at: dt.datetime | None

    @property
    def task_id(self) -> str:
        return task_id(self.schedule_id, self.due_at)


class Answer(NamedTuple):
    """What the monitor said when it was asked about some tasks; `away` is why it said nothing."""

    asked: frozenset[str]
    heard: Mapping[str, Heard]
    away: str = ""


class Change(NamedTuple):
    """What becomes of a run that waits."""

    run: LiveRun
    state: RunState
    reason: str


class Verdict(NamedTuple):
    """What becomes of the runs that wait, and the tasks to terminate."""

    changes: Sequence[Change]
    cancel: Sequence[LiveRun] = ()


def decide_overlap(
    overlap: Overlap,
    time_limit: float | None,
    runs: Sequence[LiveRun],
    answer: Answer,
    now: dt.datetime,
) -> Verdict:
    """Decides on the runs of one schedule, oldest first. `time_limit`: its task's hard one, in seconds."""
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
    """Why a run that was sent counts as going; None when it does not."""
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
    """Says once what it waits for."""
    if WAITS in run.reason:
        return []
    return [Change(run, RunState.WAITING, f"{run.reason}{WAITS}{other}"[:500])]


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
