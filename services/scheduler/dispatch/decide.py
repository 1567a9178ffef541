"""Decides what to do about a due time: run it, or, if it was missed, apply the misfire policy. Pure."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from services.scheduler.schedule.definition import Run, RunState
from services.scheduler.timing.plan import JUST_BEFORE, UNBOUNDED, MisfireAction, Plan

# A due time that is late by no more than this counts as on time, and so do those between it and now.
IN_TIME = dt.timedelta(seconds=60)
# A schedule whose row can't be read (someone changed it by SQL) is tried again after this.
UNREADABLE_AGAIN = dt.timedelta(minutes=10)
# The most missed due times of one schedule that are run at a time; the rest stays due and is dispatched next.
# This limits the memory that a batch takes.
EACH_AT_A_TIME = 10
# How the reasons of skipped runs begin, of due times that were missed, and of rows that can't be read. All
# due times until the next run share that reason.
MISSED = "missed by"
UNREADABLE = "the stored schedule can't be read"


class Decision(NamedTuple):
    """The runs to record, the next due time, and when that one is sent (the due time plus jitter)."""

    runs: tuple[Run, ...]
    next_due_at: dt.datetime | None
    next_run_at: dt.datetime | None


def decide(
    schedule_id: str, plan: Plan, due: dt.datetime, now: dt.datetime, left: int | None = None
) -> Decision:
    """Decides on a due time whose time to be sent has come.

    `left`: how many runs the schedule may still have (max_runs); None: no limit.
    """
    if left is not None and left <= 0:
        return Decision((), None, None)
    if plan.bounds is not UNBOUNDED and not plan.bounds.allow(due):
        return _going_on(schedule_id, plan, (), plan.next_due(due))
    jittered = bool(plan.jitter)
    if now - (plan.sent_at(schedule_id, due) if jittered else due) <= IN_TIME:
        runs, following = (_run(schedule_id, due, "due"),), plan.next_due(due)
        sent = plan.sent_at(schedule_id, following) if jittered and following else following
        return Decision(runs, following, sent)
    missed = {
        MisfireAction.SKIP: _skip,
        MisfireAction.RUN_ONCE: _run_once,
        MisfireAction.RUN_EACH: _run_each,
    }
    made_up, following = missed[plan.misfire.action](schedule_id, plan, due, now, left)
    return _going_on(schedule_id, plan, tuple(made_up), following)


def decide_unreadable(schedule_id: str, due: dt.datetime, now: dt.datetime, fault: str) -> Decision:
    """Returns a skipped run that names the fault; the schedule is tried again after UNREADABLE_AGAIN.

    If the due time itself can't be read, the run is of now.
    """
    again, due = now + UNREADABLE_AGAIN, due if due.tzinfo else now
    return Decision((_skipped(schedule_id, due, unreadable(fault)),), again, again)


def held_back(decision: Decision) -> Decision:
    """Returns the decision for a schedule whose runs may not overlap: its runs wait instead of being sent.

    The waiter decides on them later (runs/waiting.py).
    """
    runs = tuple(
        run._replace(state=RunState.WAITING) if run.state is RunState.PENDING else run
        for run in decision.runs
    )
    return decision._replace(runs=runs)


def unreadable(fault: str) -> str:
    return f"{UNREADABLE}: {fault}"[:500]


Missed = tuple[list[Run], dt.datetime | None]


def _skip(schedule_id: str, plan: Plan, due: dt.datetime, now: dt.datetime, _: int | None) -> Missed:
    last = plan.latest_due(schedule_id, due, now - IN_TIME - JUST_BEFORE)
    reason = f"{MISSED} {_words(now - due)}; its policy is to skip"
    if last != due:
        reason += f" this and all until {last:%Y-%m-%d %H:%M:%S}Z"
    return [_skipped(schedule_id, due, reason)], plan.next_due(last)


def _run_once(schedule_id: str, plan: Plan, due: dt.datetime, now: dt.datetime, _: int | None) -> Missed:
    last, window = plan.latest_due(schedule_id, due, now), plan.misfire.window
    if now - last > window:
        reason = f"{MISSED} {_words(now - last)}, more than {_words(window)}"
        return [_skipped(schedule_id, due, reason)], plan.next_due(last)
    runs = []
    if last != due:
        reason = f"{MISSED} {_words(now - due)}; one later run makes up for it"
        runs.append(_skipped(schedule_id, due, reason))
    runs.append(_run(schedule_id, last, f"late by {_words(now - last)}; makes up for all that was missed"))
    return runs, plan.next_due(last)


def _run_each(schedule_id: str, plan: Plan, due: dt.datetime, now: dt.datetime, left: int | None) -> Missed:
    window, runs = plan.misfire.window, []
    following = plan.next_due(max(due, now - window) - JUST_BEFORE)
    if following != due:
        reason = f"{MISSED} {_words(now - due)}, more than {_words(window)}"
        runs.append(_skipped(schedule_id, due, reason))
    for _ in range(EACH_AT_A_TIME if left is None else min(left, EACH_AT_A_TIME)):
        if following is None or plan.sent_at(schedule_id, following) > now:
            break
        late = now - following
        reason = "due" if late <= IN_TIME else f"late by {_words(late)}; each missed run is made up for"
        runs.append(_run(schedule_id, following, reason))
        following = plan.next_due(following)
    return runs, following


def _going_on(schedule_id: str, plan: Plan, runs: tuple[Run, ...], following: dt.datetime | None) -> Decision:
    return Decision(runs, following, following and plan.sent_at(schedule_id, following))


def _run(schedule_id: str, due: dt.datetime, reason: str) -> Run:
    return Run(schedule_id, due, RunState.PENDING, reason)


def _skipped(schedule_id: str, due: dt.datetime, reason: str) -> Run:
    return Run(schedule_id, due, RunState.SKIPPED, reason)


def _words(span: dt.timedelta) -> str:
    return str(dt.timedelta(seconds=int(span.total_seconds())))
