"""Figures: exact counts, honest rates, bounded names."""

from __future__ import annotations

import pytest

from services.monitor.figures import Figures, Rate
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.tally import DURATION_BOUNDS, MOST_NAMES, MOST_QUEUES


def test_a_rate_is_of_the_last_ten_whole_seconds() -> None:
    rate = Rate()
    for second in range(100, 130):
        rate.add(second, second + 0.5)
    assert rate.per_second(130.2) == sum(range(120, 130)) / 10
    assert rate.per_second(134.0) == sum(range(124, 130)) / 10
    assert rate.per_second(1000.0) == 0.0


def test_tasks_are_counted_by_queue_and_state_and_by_name() -> None:
    figures = Figures()
    for seconds in range(1, 101):
        figures.task("add", "q", TaskState.STARTED, None)
        figures.task("add", "q", TaskState.SUCCESS, float(seconds))
    figures.task("add", "q", TaskState.FAILURE, 7.0)
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
    durations = figures.durations["q"]
    assert (sum(durations.counts), durations.total) == (101, 5050.0 + 7.0)
    assert durations.counts[DURATION_BOUNDS.index(1)] == 1
    assert sum(durations.counts[: DURATION_BOUNDS.index(10) + 1]) == 11


def test_names_beyond_the_bound_share_one() -> None:
    figures = Figures()
    for number in range(2 * MOST_NAMES):
        figures.task(f"task-{number}", f"queue-{number}", TaskState.SUCCESS, 1.0)
    assert len(figures.by_task) == MOST_NAMES + 1
    assert figures.by_task["other"].succeeded == MOST_NAMES
    assert len(figures.durations) == MOST_QUEUES + 1
    assert figures.by_queue[("other", TaskState.SUCCESS)] == 2 * MOST_NAMES - MOST_QUEUES
    assert len(figures.snapshot(6.0).tasks) == 100
