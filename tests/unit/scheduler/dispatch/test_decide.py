"""What is done about a due time: in time, missed, at the bounds, with jitter."""

from __future__ import annotations

import datetime as dt

import pytest

from services.scheduler.dispatch.decide import EACH_AT_A_TIME, IN_TIME, Decision, decide
from services.scheduler.schedule.definition import RunState
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming
from services.scheduler.timing.plan import Bounds, Misfire, MisfireAction, Plan

DUE = dt.datetime(2026, 11, 24, 10, tzinfo=dt.UTC)
SECOND, MINUTE, HOUR, DAY = (dt.timedelta(seconds=found) for found in (1, 60, 3600, 86400))
EACH_MINUTE = IntervalTiming(MINUTE, DUE, "UTC")
EACH_DAY = CrontabTiming(parse_crontab("0 10 * * *"), "UTC")
SKIP = Misfire(MisfireAction.SKIP)
ONCE = Misfire(MisfireAction.RUN_ONCE, HOUR)
EACH = Misfire(MisfireAction.RUN_EACH, HOUR)


def told(decision: Decision) -> list[tuple[str, dt.timedelta]]:
    """States, and due times from DUE on."""
    return [(run.state.value, run.due_at - DUE) for run in decision.runs]


@pytest.mark.parametrize("misfire", [SKIP, ONCE, EACH])
def test_a_due_time_up_to_a_minute_late_is_run_as_due_whatever_the_policy(misfire: Misfire) -> None:
    for late in (dt.timedelta(0), SECOND, IN_TIME):
        decision = decide("a", Plan(EACH_DAY, misfire=misfire), DUE, DUE + late)
        assert told(decision) == [("pending", dt.timedelta(0))]
        assert decision.runs[0].reason == "due"
        assert decision.next_due_at == decision.next_run_at == DUE + DAY


def test_skip_passes_over_what_was_missed_and_runs_what_is_in_time() -> None:
    now = DUE + HOUR + SECOND
    decision = decide("a", Plan(EACH_MINUTE, misfire=SKIP), DUE, now)
    assert told(decision) == [("skipped", dt.timedelta(0))]
    assert decision.runs[0].reason == (
        "missed by 1:00:01; its policy is to skip this and all until 2026-11-24 10:59:00Z"
    )
    assert decision.next_due_at == DUE + HOUR
    assert told(decide("a", Plan(EACH_MINUTE, misfire=SKIP), DUE + HOUR, now)) == [("pending", HOUR)]


def test_once_runs_the_latest_and_says_that_it_makes_up_for_the_others() -> None:
    decision = decide("a", Plan(EACH_MINUTE, misfire=ONCE), DUE, DUE + 3 * HOUR + SECOND)
    assert told(decision) == [("skipped", dt.timedelta(0)), ("pending", 3 * HOUR)]
    assert [run.reason for run in decision.runs] == [
        "missed by 3:00:01; one later run makes up for it",
        "late by 0:00:01; makes up for all that was missed",
    ]
    assert decision.next_due_at == DUE + 3 * HOUR + MINUTE


def test_once_skips_what_was_missed_for_longer_than_the_window() -> None:
    inside = decide("a", Plan(EACH_DAY, misfire=ONCE), DUE, DUE + HOUR)
    assert told(inside) == [("pending", dt.timedelta(0))]
    outside = decide("a", Plan(EACH_DAY, misfire=ONCE), DUE, DUE + HOUR + SECOND)
    assert told(outside) == [("skipped", dt.timedelta(0))]
    assert outside.runs[0].reason == "missed by 1:00:01, more than 1:00:00"
    assert outside.next_due_at == DUE + DAY


def test_each_runs_every_missed_due_time_of_the_window_a_bounded_number_at_a_time() -> None:
    plan, now = Plan(EACH_MINUTE, misfire=EACH), DUE + 90 * MINUTE + SECOND
    due: dt.datetime | None = DUE
    ran: list[dt.timedelta] = []
    skipped: list[dt.timedelta] = []
    while due is not None and due <= now:
        decision = decide("a", plan, due, now)
        assert len(decision.runs) <= EACH_AT_A_TIME + 1
        for run in decision.runs:
            (ran if run.state is RunState.PENDING else skipped).append(run.due_at - DUE)
        due = decision.next_due_at
    # The first due time that was 90 minutes ago stands for the half hour before the window.
    assert skipped == [dt.timedelta(0)]
    assert ran == [number * MINUTE for number in range(31, 91)]
    assert due == DUE + 91 * MINUTE


def test_each_stops_at_the_most_runs() -> None:
    decision = decide("a", Plan(EACH_MINUTE, misfire=EACH), DUE, DUE + HOUR, left=3)
    assert told(decision) == [("pending", number * MINUTE) for number in range(3)]


def test_nothing_runs_beyond_the_most_runs() -> None:
    assert decide("a", Plan(EACH_MINUTE), DUE, DUE, left=0) == Decision((), None, None)


def test_a_missed_due_time_before_the_end_is_made_up_for_after_it() -> None:
    plan = Plan(EACH_MINUTE, Bounds(end=DUE + 5 * MINUTE), misfire=ONCE)
    decision = decide("a", plan, DUE, DUE + 30 * MINUTE)
    assert told(decision) == [("skipped", dt.timedelta(0)), ("pending", 5 * MINUTE)]
    assert decision.next_due_at is None


def test_once_at_a_time_is_made_up_for_within_the_window() -> None:
    plan = Plan(OnceTiming(DUE, "UTC"))
    decision = decide("a", plan, DUE, DUE + 30 * MINUTE)
    assert told(decision) == [("pending", dt.timedelta(0))]
    assert decision.next_due_at is None


def test_a_due_time_outside_bounds_that_were_set_by_sql_is_not_run() -> None:
    decision = decide("a", Plan(EACH_MINUTE, Bounds(end=DUE - SECOND)), DUE, DUE)
    assert decision == Decision((), None, None)


def test_jitter_is_no_lateness_and_the_next_due_time_has_its_own() -> None:
    plan = Plan(EACH_DAY, jitter=HOUR, misfire=SKIP)
    sent = plan.sent_at("a", DUE)
    decision = decide("a", plan, DUE, sent + SECOND)
    assert told(decision) == [("pending", dt.timedelta(0))]
    assert decision.next_due_at == DUE + DAY
    assert decision.next_run_at == plan.sent_at("a", DUE + DAY) != DUE + DAY


@pytest.mark.parametrize("misfire", [SKIP, ONCE, EACH])
def test_a_due_time_whose_jitter_has_not_passed_is_not_missed(misfire: Misfire) -> None:
    plan = Plan(CrontabTiming(parse_crontab("0 * * * *"), "UTC"), jitter=HOUR, misfire=misfire)
    # All before this are missed; this is due, and to be sent later.
    waiting = DUE + 5 * HOUR
    decision = decide("a", plan, DUE, waiting + (plan.sent_at("a", waiting) - waiting) / 2)
    assert all(run.due_at < waiting for run in decision.runs)
    assert decision.next_due_at == waiting


@pytest.mark.parametrize("misfire", [SKIP, ONCE, EACH])
def test_no_due_time_is_decided_twice_and_the_schedule_goes_on(misfire: Misfire) -> None:
    plan = Plan(EACH_MINUTE, misfire=misfire)
    seen: set[dt.datetime] = set()
    due = DUE
    for outage in (0, 30, 61, 119, 3600, 7300, 59):
        now = due + outage * SECOND
        while due <= now:
            decision = decide("a", plan, due, now)
            for run in decision.runs:
                assert run.due_at not in seen
                seen.add(run.due_at)
            assert decision.next_due_at is not None and decision.next_due_at > due
            due = decision.next_due_at
        assert due <= now + MINUTE
