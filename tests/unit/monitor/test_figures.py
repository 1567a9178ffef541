"""Figures: exact counts, honest rates, bounded names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.figures import Figures, Rate
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals import tally
from services.monitor.totals.kinds import (
    MOST_EXCEPTIONS,
    MOST_EXCEPTIONS_OF_NAME,
    MOST_KIND_NAMES,
    MOST_KINDS,
    Kind,
    KnownKinds,
    kind_of,
)
from services.monitor.totals.tally import DURATION_BOUNDS, MOST_NAMES, MOST_QUEUES
from tests.support.figures import RememberedFigures


def test_a_rate_is_of_the_last_ten_whole_seconds() -> None:
    rate = Rate()
    for second in range(100, 130):
        rate.add(second, second + 0.5)
    assert rate.per_second(130.2) == sum(range(120, 130)) / 10
    assert rate.per_second(134.0) == sum(range(124, 130)) / 10
    assert rate.per_second(1000.0) == 0.0


def test_tasks_are_counted_by_queue_and_state_and_by_name() -> None:
    figures = RememberedFigures()
    for seconds in range(1, 101):
        figures.task("add", "q", TaskState.STARTED, None)
        figures.task("add", "q", TaskState.SUCCESS, float(seconds))
    figures.task("add", "q", TaskState.FAILURE, 7.0, "ValueError")
    figures.task("rare", "", TaskState.RETRY, None)
    figures.events(203, 5.0)
    snapshot = figures.snapshot(6.0)
    add, rare = snapshot.tasks
    assert (add.task, add.succeeded, add.failed, add.retried) == ("add", 100, 1, 0)
    assert (rare.task, rare.retried, rare.p50_runtime) == ("rare", 1, None)
    assert add.p50_runtime == pytest.approx(50, rel=0.02)
    assert add.p99_runtime == pytest.approx(99, rel=0.02)
    assert (snapshot.succeeded_per_second, snapshot.failed_per_second) == (10.0, 0.1)
    assert figures.by_queue[("q", TaskState.STARTED)] == 100
    assert figures.by_queue[("", TaskState.RETRY)] == 1
    counts, kind = figures.counts, Kind("add", "q").label
    assert counts[tally.RUNTIMES, "q", tally.SECONDS] == 5050.0 + 7.0
    assert counts[tally.RUNTIMES, "q", str(DURATION_BOUNDS.index(1))] == 1
    up_to_10 = [counts.get((tally.RUNTIMES, "q", str(n)), 0) for n in range(DURATION_BOUNDS.index(10) + 1)]
    assert sum(up_to_10) == 11
    assert counts[tally.KINDS, kind, "SUCCESS"] == 100
    assert counts[tally.KIND_FAILURES, kind, "ValueError"] == 1
    # Runtimes of a kind are of those that succeeded.
    assert counts[tally.KIND_RUNTIMES, kind, tally.SECONDS] == 5050.0


def test_what_was_taken_is_not_taken_again() -> None:
    figures = Figures()
    figures.task("add", "q", TaskState.SUCCESS, 1.0)
    assert figures.take_changes().added_up()[tally.TASKS, "q", "SUCCESS"] == 1
    figures.task("add", "q", TaskState.SUCCESS, 1.0)
    counts = figures.take_changes().added_up()
    assert (counts[tally.TASKS, "q", "SUCCESS"], counts[tally.RUNTIMES, "q", tally.SECONDS]) == (1, 1.0)
    assert not figures.take_changes()


def test_names_beyond_the_bound_share_one() -> None:
    figures = RememberedFigures()
    for number in range(2 * MOST_NAMES):
        figures.task(f"task-{number}", f"queue-{number}", TaskState.FAILURE, 1.0, f"Error{number}")
    assert len(figures.by_task) == MOST_NAMES + 1
    assert figures.by_task["other"].failed == MOST_NAMES
    assert figures.by_queue[("other", TaskState.FAILURE)] == 2 * MOST_NAMES - MOST_QUEUES
    assert len(figures.snapshot(6.0).tasks) == 100
    counts = figures.counts
    assert len({queue for figure, queue, _ in counts if figure == tally.RUNTIMES}) == MOST_QUEUES + 1
    kinds = {label for figure, label, _ in counts if figure == tally.KINDS}
    assert len({kind_of(label).name for label in kinds}) == MOST_KIND_NAMES + 1
    assert len(kinds) <= MOST_KINDS + MOST_KIND_NAMES + 1
    failures = {key: count for key, count in counts.items() if key[0] == tally.KIND_FAILURES}
    assert len({key[2] for key in failures} - {"other"}) <= MOST_EXCEPTIONS
    assert sum(failures.values()) == 2 * MOST_NAMES


def test_exceptions_of_one_name_are_bounded_and_all_are_counted() -> None:
    figures = RememberedFigures()
    for number in range(200):
        figures.task("add", f"queue-{number % 3}", TaskState.FAILURE, None, f"Error{number}")
    failures = {key: count for key, count in figures.counts.items() if key[0] == tally.KIND_FAILURES}
    assert len({key[2] for key in failures}) == MOST_EXCEPTIONS_OF_NAME + 1
    assert sum(failures.values()) == 200


@given(st.text(max_size=400), st.text(max_size=300))
def test_a_kind_is_read_from_its_label_whatever_names_applications_choose(name: str, queue: str) -> None:
    kind = KnownKinds().place(Kind(name, queue))
    assert kind_of(kind.label) == kind
    assert KnownKinds().place(kind) == kind
