"""The due times of a window that has passed, and what is said of those without a run."""

from __future__ import annotations

import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.dispatch.decide import MISSED
from services.scheduler.explain.decision import Decision, Facts, about_the_clock, decision_without_run
from services.scheduler.explain.due_times import DueTime, DueTimes
from services.scheduler.explain.history import EditKind, History, Revision
from services.scheduler.explain.store_history import RecordedRun
from services.scheduler.schedule.definition import Definition, Run, RunState, Schedule, Task
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, Timing, next_due
from services.scheduler.timing.plan import JUST_BEFORE, Bounds, Plan

NOON = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
HOURLY = CrontabTiming(parse_crontab("0 * * * *"), "UTC")
CRONTABS = ["0 * * * *", "*/7 8-17 * * mon-fri", "30 2 * * *", "0 0 1 * *", "5 4 29 2 *", "0 9 13 * fri"]


def revision(since: dt.datetime, until: dt.datetime | None = None, **rest: object) -> Revision:
    usual = Revision(
        since, until, EditKind.UPDATED, "mei", ["timing.crontab"], Plan(HOURLY), "", False, "", "q"
    )
    return dataclasses.replace(usual, **rest)  # type: ignore[arg-type]


def facts(history: History, *runs: Run, due_next: dt.datetime | None = None) -> Facts:
    newest = history.revisions[0]
    assert newest.plan is not None
    definition = Definition(
        "s", Task("t"), newest.plan.timing, bounds=newest.plan.bounds, paused=newest.paused
    )
    schedule = Schedule(definition, 1, due_next, None, NOON, NOON)
    recorded = [RecordedRun(run, run.due_at) for run in runs]
    return Facts(schedule, history, recorded, now=NOON, kept_from=NOON - 90 * 24 * HOUR)


def decided(moment: dt.datetime, history: History, *runs: Run) -> tuple[Decision, str]:
    held = history.at(moment)
    assert held is not None
    verdict = decision_without_run(DueTime(moment, held), facts(history, *runs, due_next=NOON + HOUR))
    return verdict.decision, verdict.reason


def every(timing: Timing, start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    """All due times of the window, found forwards."""
    found, due = [], next_due(timing, start - JUST_BEFORE)
    while due is not None and due <= end:
        found.append(due)
        due = next_due(timing, due)
    return found


TIMINGS = st.one_of(
    st.builds(
        lambda pattern, zone: CrontabTiming(parse_crontab(pattern), zone),
        st.sampled_from(CRONTABS),
        st.sampled_from(["UTC", "Asia/Taipei", "America/New_York", "Australia/Lord_Howe"]),
    ),
    st.builds(
        lambda seconds, offset: IntervalTiming(dt.timedelta(seconds=seconds), NOON - offset * MINUTE, "UTC"),
        st.integers(600, 200_000),
        st.integers(-3000, 3000),
    ),
)


@given(TIMINGS, st.integers(0, 60), st.integers(1, 40), st.integers(1, 300))
def test_due_times_found_backwards_are_those_found_forwards(
    timing: Timing, begins: int, days: int, most: int
) -> None:
    start = dt.datetime(2026, 10, 1, tzinfo=dt.UTC) + begins * 24 * HOUR
    end = start + days * 24 * HOUR
    history = History([revision(start - HOUR, plan=Plan(timing))])
    found = DueTimes(history, start, end, most)
    for _ in found.steps():
        pass
    assert [each.due for each in found.found] == every(timing, start, end)[::-1][:most]


def test_each_due_time_is_that_of_what_the_schedule_was_then() -> None:
    daily = Plan(CrontabTiming(parse_crontab("15 9 * * *"), "UTC"))
    edited = NOON - 2 * HOUR - 30 * MINUTE
    history = History([revision(edited), revision(NOON - 24 * HOUR, edited, plan=daily)])
    found = DueTimes(history, NOON - 24 * HOUR, NOON, 10)
    for _ in found.steps():
        pass
    assert [each.due for each in found.found] == [NOON, NOON - HOUR, NOON - 2 * HOUR, edited - 15 * MINUTE]


def test_bounds_are_told_of_due_times_outside_them() -> None:
    bounds = Bounds(NOON - 3 * HOUR, NOON - HOUR)
    history = History([revision(NOON - 9 * HOUR, plan=Plan(HOURLY, bounds))])
    assert decided(NOON - 4 * HOUR, history) == (
        Decision.BEFORE_START,
        "Before the schedule's start_time, 2026-11-30 09:00:00Z.",
    )
    assert decided(NOON, history)[0] is Decision.AFTER_END


def test_a_pause_is_told_from_its_beginning_whatever_was_changed_during_it() -> None:
    history = History(
        [
            revision(NOON - HOUR, paused=True, actor="ann", kind=EditKind.UPDATED),
            revision(NOON - 2 * HOUR, NOON - HOUR, paused=True, actor="bob", kind=EditKind.PAUSED),
            revision(NOON - 9 * HOUR, NOON - 2 * HOUR, actor="ann"),
        ]
    )
    assert decided(NOON, history) == (Decision.PAUSED, "Paused by bob at 2026-11-30 10:00:00Z.")


def test_an_edit_before_a_due_time_was_dispatched_is_told_with_who_made_it() -> None:
    edited = NOON - MINUTE
    history = History([revision(edited, actor="ann"), revision(NOON - 9 * HOUR, edited)])
    decision, reason = decided(NOON - HOUR, history)
    assert decision is Decision.EDITED
    assert "ann changed the schedule at 2026-11-30 11:59:00Z (timing.crontab)" in reason


def test_an_edit_that_leaves_the_due_times_as_they_are_explains_nothing() -> None:
    edited = NOON - MINUTE
    history = History([revision(edited, fields=["description"]), revision(NOON - 9 * HOUR, edited)])
    assert decided(NOON - HOUR, history)[0] is Decision.UNKNOWN
    held = history.at(NOON - HOUR)
    assert held is not None
    waiting = facts(history, due_next=NOON - 2 * HOUR)
    assert decision_without_run(DueTime(NOON - HOUR, held), waiting).decision is Decision.OVERDUE


def test_what_came_after_the_last_of_max_runs_is_told_so_whatever_else_was_changed_since() -> None:
    done, edited = Plan(HOURLY, Bounds(max_runs=3)), NOON - MINUTE
    history = History(
        [
            revision(edited, plan=done, fields=["description"]),
            revision(NOON - 9 * HOUR, edited, plan=done),
        ]
    )
    found = facts(history)
    schedule = dataclasses.replace(found.schedule, run_count=3, last_run_at=NOON - 2 * HOUR)
    held = history.at(NOON - HOUR)
    assert held is not None
    verdict = decision_without_run(DueTime(NOON - HOUR, held), found._replace(schedule=schedule))
    assert verdict.decision is Decision.MAX_RUNS


@pytest.mark.parametrize("by_hand", ["triggered by mei", "backfilled by mei"])
def test_a_run_that_a_person_sent_does_not_hide_that_the_due_times_around_it_were_missed(
    by_hand: str,
) -> None:
    history = History([revision(NOON - 9 * HOUR)])
    missed = Run("s", NOON - 4 * HOUR, RunState.SKIPPED, f"{MISSED} 2:00:00; its policy is to skip")
    sent = Run("s", NOON - 3 * HOUR, RunState.PUBLISHED, by_hand)
    decision, reason = decided(NOON - 2 * HOUR, history, sent, missed)
    assert decision is Decision.MISSED
    assert "The run of 2026-11-30 08:00:00Z stands for this one." in reason


def test_what_nothing_explains_is_told_as_unknown() -> None:
    history = History([revision(NOON - 9 * HOUR)])
    due = Run("s", NOON - 3 * HOUR, RunState.PUBLISHED, "due")
    decision, reason = decided(NOON - 2 * HOUR, history, due)
    assert decision is Decision.UNKNOWN
    assert "There is no record" in reason


def test_a_due_time_older_than_runs_are_kept_is_told_as_unknown() -> None:
    history = History([revision(NOON - 200 * 24 * HOUR)])
    decision, reason = decided(NOON - 100 * 24 * HOUR, history)
    assert decision is Decision.UNKNOWN
    assert "no longer kept" in reason


def test_a_due_time_at_the_end_of_a_gap_of_the_clock_is_told_so() -> None:
    timing = CrontabTiming(parse_crontab("30 2 * * *"), "America/New_York")
    held = revision(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), plan=Plan(timing))
    zone = ZoneInfo("America/New_York")
    [usual, gap] = every(
        timing, dt.datetime(2026, 3, 7, tzinfo=zone), dt.datetime(2026, 3, 8, 12, tzinfo=zone)
    )
    assert about_the_clock(DueTime(usual, held)) == ""
    assert "America/New_York skipped the local time" in about_the_clock(DueTime(gap, held))
    hourly = Plan(CrontabTiming(parse_crontab("30 * * * *"), "America/New_York"))
    assert about_the_clock(DueTime(gap, dataclasses.replace(held, plan=hourly))) == ""
