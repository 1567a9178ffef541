"""What the scheduler did about a due time, and why, in words. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from services.scheduler.backfill.backfiller import BACKFILLED
from services.scheduler.catalogue.catalogue import TRIGGERED
from services.scheduler.dispatch.decide import MISSED, UNREADABLE
from services.scheduler.dispatch.delivery import REFUSED
from services.scheduler.explain import steps
from services.scheduler.explain.due_times import DueTime
from services.scheduler.explain.history import History
from services.scheduler.explain.store_history import RecordedRun
from services.scheduler.explain.words import moment
from services.scheduler.schedule.definition import Run, RunState, Schedule
from services.scheduler.timing.due_times import ClockEffect, clock_effect

# Dispatching a due time takes milliseconds. One that is later than this is told as late.
LATE = dt.timedelta(seconds=5)


class Decision(Enum):
    SENT = "sent"
    UNSENT = "unsent"
    HELD_BACK = "held_back"
    OVERLAPPED = "overlapped"
    MISSED = "missed"
    PAUSED = "paused"
    BEFORE_START = "before_start"
    AFTER_END = "after_end"
    MAX_RUNS = "max_runs"
    EDITED = "edited"
    DUE = "due"
    OVERDUE = "overdue"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    LOST = "lost"
    UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """`reason` is sentences; `next_step` too, empty where nothing is to be done."""

    decision: Decision
    reason: str
    next_step: str = ""


class Facts(NamedTuple):
    """What is known of the schedule, and of the scheduler that answers."""

    schedule: Schedule
    history: History
    # The newest first: those of the window, and the one before it.
    runs: Sequence[RecordedRun]
    now: dt.datetime
    # Runs that were due before this are no longer kept.
    kept_from: dt.datetime
    # Our own code fails on this schedule; the dispatcher fails, at all.
    left_out: bool = False
    dispatch_fails: bool = False
    # None: it was not asked, as no run waits for it.
    broker_answers: bool | None = None
    # Whether runs are sent at all (scheduler.sends_runs).
    sends: bool = True


def decision_on_run(run: Run, facts: Facts) -> Verdict:
    """Says what became of a due time that has a run."""
    schedule_id = run.schedule_id
    match run.state:
        case RunState.PUBLISHED:
            reason = f"Sent at {moment(run.published_at)}" if run.published_at else "Sent"
            return Verdict(Decision.SENT, f"{reason} ({run.reason}).")
        case RunState.PENDING:
            return _unsent(run, facts)
        case RunState.WAITING:
            reason = f"Held back until an earlier run of the schedule has ended ({run.reason})."
            return Verdict(Decision.HELD_BACK, reason, steps.look_at_earlier(schedule_id))
        case RunState.LOST:
            reason = f"The broker lost its message with its data ({run.reason})."
            return Verdict(Decision.LOST, reason, steps.send_again(schedule_id))
        case RunState.SKIPPED:
            return _passed_over(run)


def _unsent(run: Run, facts: Facts) -> Verdict:
    recorded = next(each.recorded_at for each in facts.runs if each.run == run)
    reason = f"Recorded at {moment(recorded)} ({run.reason}), and not yet published."
    if not facts.sends:
        reason += " No run is sent now, as scheduler.sends_runs is false, which Drain and Shutdown set: the"
        reason += " message is sent when it is true again. No run is lost by this."
        return Verdict(Decision.UNSENT, reason, steps.SEND_AGAIN_AT_ALL)
    if facts.broker_answers:
        reason += " The broker answers now, so it is sent within seconds, unless the scheduler fails on it."
        return Verdict(Decision.UNSENT, reason, steps.LOOK_AT_LEFT_OUT)
    reason += " The broker does not answer: the message is sent as soon as it does. No run is lost by this."
    return Verdict(Decision.UNSENT, reason, steps.START_BROKER)


def _passed_over(run: Run) -> Verdict:
    schedule_id = run.schedule_id
    if run.reason.startswith(MISSED):
        reason = f"No scheduler could run it in time: {run.reason}."
        return Verdict(Decision.MISSED, reason, steps.backfill(schedule_id))
    if run.reason.startswith(UNREADABLE):
        return Verdict(Decision.UNREADABLE, f"Passed over: {run.reason}.", steps.repair(schedule_id))
    if run.reason.startswith(REFUSED):
        return Verdict(Decision.REFUSED, f"Passed over: {run.reason}.", steps.other_queue(schedule_id))
    return Verdict(Decision.OVERLAPPED, f"Passed over: {run.reason}.", steps.allow_overlap(schedule_id))


def decision_without_run(due_time: DueTime, facts: Facts) -> Verdict:
    """Says why a due time has no run of its own."""
    due = due_time.due
    if due < facts.kept_from:
        kept = f"Runs that were due before {moment(facts.kept_from)} are no longer kept."
        return Verdict(Decision.UNKNOWN, kept, steps.KEEP_LONGER)
    verdict = _out_of_bounds(due_time, facts) or _paused(due_time, facts) or _not_yet(due_time, facts)
    if verdict:
        return verdict
    before = next((each.run for each in facts.runs if each.run.due_at < due and not _extra(each.run)), None)
    if before and before.state is RunState.SKIPPED and before.reason.startswith((MISSED, UNREADABLE)):
        # That run stands for all due times up to the next run.
        shared = _passed_over(before)
        return shared._replace(
            reason=f"{shared.reason} The run of {moment(before.due_at)} stands for this one."
        )
    edit = next(
        (each for each in reversed(facts.history.revisions) if each.since > due and each.retimes), None
    )
    if edit is not None:
        what = ", ".join(edit.fields)
        reason = f"Not dispatched before {edit.by} changed the schedule at {moment(edit.since)} ({what}):"
        reason += " after a change of the timing or a pause, due times count from then on."
        return Verdict(Decision.EDITED, reason, steps.send_again(facts.schedule.definition.id))
    return _unexplained(facts)


def _extra(run: Run) -> bool:
    """Returns whether a person had it sent: it is not one that the dispatcher decided on."""
    return run.reason.startswith((TRIGGERED, BACKFILLED))


def _out_of_bounds(due_time: DueTime, facts: Facts) -> Verdict | None:
    due, revision = due_time
    assert revision.plan is not None, "what can't be read has no due times"
    start, end, most = revision.plan.bounds
    schedule_id = facts.schedule.definition.id
    if start is not None and due < start:
        reason = f"Before the schedule's start_time, {moment(start)}."
        return Verdict(Decision.BEFORE_START, reason, steps.change_bound(schedule_id, "start_time"))
    if end is not None and due > end:
        reason = f"After the schedule's end_time, {moment(end)}."
        return Verdict(Decision.AFTER_END, reason, steps.change_bound(schedule_id, "end_time"))
    last, count = facts.schedule.last_run_at, facts.schedule.run_count
    still = most == facts.schedule.definition.bounds.max_runs
    if most is not None and still and count >= most and (last is None or due > last):
        reason = f"The schedule is done: it has had {count} runs, and its max_runs is {most}."
        return Verdict(Decision.MAX_RUNS, reason, steps.change_bound(schedule_id, "max_runs"))
    return None


def _paused(due_time: DueTime, facts: Facts) -> Verdict | None:
    due, revision = due_time
    if not revision.paused:
        return None
    pause = facts.history.pause_of(revision)
    note = f" The note says: {revision.pause_note!r}." if revision.pause_note else ""
    reason = f"Paused by {pause.by} at {moment(pause.since)}."
    if pause.kind is None:
        reason = f"Paused since before {moment(pause.since)}; by whom is not known."
    newest = facts.history.revisions[0]
    if newest.paused and facts.history.pause_of(newest) == pause:
        return Verdict(Decision.PAUSED, reason + note, steps.resume(facts.schedule.definition.id))
    later = [each for each in facts.history.revisions if each.since > due and not each.paused]
    if later:
        resumed = later[-1]
        note += (
            f" Resumed by {resumed.by} at {moment(resumed.since)}: what passed until then is not made up for."
        )
    return Verdict(Decision.PAUSED, reason + note, steps.backfill(facts.schedule.definition.id))


def _not_yet(due_time: DueTime, facts: Facts) -> Verdict | None:
    """Of a due time that is still to be dispatched."""
    due, revision = due_time
    upcoming = facts.schedule.next_due_at
    # After an edit that set due times anew, the upcoming one is after it.
    if upcoming is None or upcoming > due:
        return None
    assert revision.plan is not None, "what can't be read has no due times"
    sent = revision.plan.sent_at(facts.schedule.definition.id, due)
    if facts.now - sent <= LATE:
        jittered = f", its jitter included, at {moment(sent)}" if sent != due else ""
        return Verdict(Decision.DUE, f"It is about to be sent{jittered}.")
    reason = f"Due, and no scheduler has dispatched it: the schedule still waits for {moment(upcoming)}."
    if facts.left_out:
        reason += " The scheduler's own code fails on it, so it is left out, and tried again each minute."
        return Verdict(Decision.OVERDUE, reason, steps.LOOK_AT_LEFT_OUT)
    if facts.dispatch_fails:
        reason += " The dispatcher of the scheduler that answers fails."
    else:
        reason += (
            " The scheduler that answers is at work: it may be behind, or somebody locks the schedule's row."
        )
    return Verdict(Decision.OVERDUE, reason, steps.LOOK_AT_DISPATCH)


def _unexplained(facts: Facts) -> Verdict:
    reason = (
        "There is no record of this due time: next_run_time was set past it, by SQL or by a clock that was"
        " set, or its run was deleted."
    )
    return Verdict(Decision.UNKNOWN, reason, steps.send_again(facts.schedule.definition.id))


def about_the_clock(due_time: DueTime) -> str:
    """Says what a change of the clocks has to do with a due time. Empty if nothing."""
    plan = due_time.revision.plan
    if plan is None:
        return ""
    zone = plan.timing.zone
    match clock_effect(plan.timing, due_time.due):
        case ClockEffect.SKIPPED:
            skipped = f"The clocks of {zone} skipped the local time of its pattern"
            return f" {skipped}, so it is due at the end of the gap."
        case ClockEffect.FIRST_ONLY:
            return (
                f" The clocks of {zone} go back: its local time comes twice, and is due the first time only."
            )
        case ClockEffect.SECOND_PASS:
            again = f"The clocks of {zone} went back, and its local time came again"
            return f" {again}: a pattern that recurs within the hour is due both times."
    return ""
