"""What becomes of a run that comes due while an earlier one is, or may be, going."""

from __future__ import annotations

import datetime as dt

import pytest

from services.scheduler.runs.monitor_client import Heard
from services.scheduler.runs.overlap import Answer, LiveRun, decide_overlap
from services.scheduler.schedule.definition import Overlap, RunState

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
WAITING, PUBLISHED, PENDING, SKIPPED = (
    RunState.WAITING,
    RunState.PUBLISHED,
    RunState.PENDING,
    RunState.SKIPPED,
)


def run(minutes_ago: float, state: RunState) -> LiveRun:
    due = NOW - dt.timedelta(minutes=minutes_ago)
    return LiveRun("s", due, state, "due", due if state is PUBLISHED else None)


def heard(of: LiveRun, state: str, minutes_ago: float = 0.5) -> Answer:
    moment = NOW - dt.timedelta(minutes=minutes_ago)
    word = Heard(of.task_id, state, "celery@host", None, None, moment, None)
    return Answer(frozenset({of.task_id}), {of.task_id: word})


def decided(
    overlap: Overlap, runs: list[LiveRun], answer: Answer, limit: float | None = None
) -> tuple[list[tuple[dt.datetime, str]], int]:
    """Of each run that waits what becomes of it, and how many tasks are terminated."""
    verdict = decide_overlap(overlap, limit, runs, answer, NOW)
    changes = [(change.run.due_at, change.state.value) for change in verdict.changes]
    return sorted(changes), len(verdict.cancel)


EARLIER, FIRST, SECOND, THIRD = run(9, PUBLISHED), run(3, WAITING), run(2, WAITING), run(1, WAITING)
NOTHING = Answer(frozenset(), {})


@pytest.mark.parametrize("overlap", Overlap)
@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "REVOKED", "REJECTED"])
def test_a_run_goes_when_the_one_before_has_ended(overlap: Overlap, state: str) -> None:
    assert decided(overlap, [EARLIER, FIRST], heard(EARLIER, state)) == ([(FIRST.due_at, "pending")], 0)


@pytest.mark.parametrize("state", ["PENDING", "RECEIVED", "STARTED", "RETRY"])
def test_what_becomes_of_runs_while_another_is_going(state: str) -> None:
    runs, told = [EARLIER, FIRST, SECOND, THIRD], heard(EARLIER, state)
    one, two, three = FIRST.due_at, SECOND.due_at, THIRD.due_at
    allow, skip, queue, cancel = (decided(overlap, runs, told) for overlap in Overlap)
    assert allow == ([(one, "pending"), (two, "pending"), (three, "pending")], 0)
    assert skip == ([(one, "skipped"), (two, "skipped"), (three, "skipped")], 0)
    assert queue == ([(one, "waiting"), (two, "skipped"), (three, "skipped")], 0)
    assert cancel == ([(one, "skipped"), (two, "skipped"), (three, "waiting")], 1)


def test_of_several_that_wait_for_nothing_one_goes_and_the_others_count_it_as_going() -> None:
    runs, one, two, three = [FIRST, SECOND, THIRD], FIRST.due_at, SECOND.due_at, THIRD.due_at
    _, skip, queue, cancel = (decided(overlap, runs, NOTHING) for overlap in Overlap)
    assert skip == ([(one, "pending"), (two, "skipped"), (three, "skipped")], 0)
    assert queue == ([(one, "pending"), (two, "waiting"), (three, "skipped")], 0)
    assert cancel == ([(one, "skipped"), (two, "skipped"), (three, "pending")], 0)


def test_each_decision_says_why() -> None:
    told = heard(EARLIER, "STARTED")

    def reason(overlap: Overlap) -> str:
        return decide_overlap(overlap, None, [EARLIER, FIRST], told, NOW).changes[0].reason

    going = "the run of 2026-11-24 11:51:00Z is still going (STARTED)"
    assert reason(Overlap.SKIP) == f"due; {going}; its policy is to skip"
    assert reason(Overlap.QUEUE) == f"due; waits: {going}"
    assert reason(Overlap.CANCEL) == f"due; waits: {going}, which is being terminated"
    waits = FIRST._replace(reason=reason(Overlap.QUEUE))
    assert not decide_overlap(Overlap.QUEUE, None, [EARLIER, waits], told, NOW).changes
    [change] = decide_overlap(Overlap.QUEUE, None, [waits], NOTHING, NOW).changes
    assert change.reason == f"due; waited: {going}"


def test_what_is_committed_or_was_sent_since_the_monitor_was_asked_is_going() -> None:
    for other in (run(1, PENDING), EARLIER):
        assert decided(Overlap.SKIP, [other, FIRST], NOTHING) == ([(FIRST.due_at, "skipped")], 0)


@pytest.mark.parametrize(
    ("state", "limit", "heard_ago", "going"),
    [
        ("STARTED", None, 23 * 60, True),
        ("STARTED", None, 25 * 60, False),
        ("STARTED", 600, 10.9, True),
        ("STARTED", 600, 11.1, False),
        ("PENDING", 600, 11.1, True),
        ("PENDING", 600, 25 * 60, False),
        ("RETRY", 600, 23 * 60, True),
    ],
)
def test_a_task_of_which_nothing_new_is_heard_counts_as_going_no_longer_than_it_may(
    state: str, limit: float | None, heard_ago: float, going: bool
) -> None:
    found, _ = decided(Overlap.SKIP, [EARLIER, FIRST], heard(EARLIER, state, heard_ago), limit)
    assert found == [(FIRST.due_at, "skipped" if going else "pending")]


@pytest.mark.parametrize("away", ["", "UNAVAILABLE"])
@pytest.mark.parametrize(
    ("sent_ago", "limit", "going"),
    [(59, None, True), (61, None, False), (59, 600, False), (10.9, 600, True), (90, 3 * 3600, True)],
)
def test_without_a_word_of_the_monitor_a_run_counts_as_going_for_a_while(
    away: str, sent_ago: float, limit: float | None, going: bool
) -> None:
    earlier = run(sent_ago, PUBLISHED)
    told = Answer(frozenset({earlier.task_id}), {}, away)
    verdict = decide_overlap(Overlap.SKIP, limit, [earlier, FIRST], told, NOW)
    [change] = verdict.changes
    assert change.state is (SKIPPED if going else PENDING)
    if going:
        assert ("the monitor is away" if away else "has not heard of it") in change.reason
