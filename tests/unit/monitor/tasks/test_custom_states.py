"""States that tasks give themselves, by events of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from services.monitor.tasks.custom_states import custom_state_of
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import MOST_NAME, Task, TaskState
from tests.support.events import Life


def heard(events: Sequence[dict[str, Any]]) -> Task:
    record = TaskRecord("t")
    for event in events:
        at = int(event["timestamp"] * 1e6 + 0.5)
        if custom_state := custom_state_of(event["type"]):
            record.hear_custom(custom_state, at)
        else:
            record.hear(event["type"], at, event)
    return record.task_now()


def life() -> Life:
    return Life(1_790_000_000.0, "t")


@pytest.mark.parametrize(
    "event_type, state",
    [
        ("task-progress", "PROGRESS"),
        ("task-halfway-there", "HALFWAY-THERE"),
        ("task-übung", "ÜBUNG"),
        ("task-started", ""),
        ("task-cancelled", ""),
        ("task-", ""),
        ("task", ""),
        ("worker-heartbeat", ""),
        ("app-progress", ""),
    ],
)
def test_the_type_of_an_event_names_the_state(event_type: str, state: str) -> None:
    assert custom_state_of(event_type) == state


def test_a_long_name_is_cut() -> None:
    assert len(custom_state_of("task-" + "x" * 10_000)) == MOST_NAME


def test_the_newest_state_is_shown_while_the_task_runs_in_any_order() -> None:
    one = life()
    events = [one.received(), one.started(), one.custom("progress"), one.custom("upload")]
    for order in itertools.permutations([*events, events[2]]):
        task = heard(order)
        assert (task.state, task.custom_state) == (TaskState.STARTED, "UPLOAD")


def test_a_task_may_tell_of_itself_before_its_worker_tells_that_it_was_started() -> None:
    one = life()
    received, custom = one.received(), one.custom("progress")
    assert (heard([received, custom]).state, heard([received, custom]).custom_state) == (
        TaskState.RECEIVED,
        "PROGRESS",
    )
    assert heard([received, custom, one.started()]).custom_state == "PROGRESS"


@pytest.mark.parametrize("end", ["succeeded", "failed", "retried", "revoked", "rejected"])
def test_a_state_that_a_task_gave_itself_ends_with_its_try(end: str) -> None:
    one = life()
    events = [one.received(), one.started(), one.custom("progress"), getattr(one, end)()]
    for order in itertools.permutations(events):
        assert heard(order).custom_state == ""
    assert heard([*events, one.received(1), one.started()]).custom_state == ""


def test_a_task_of_which_nothing_else_is_known_is_being_run() -> None:
    one = life()
    custom = one.custom("progress")
    assert (heard([custom]).state, heard([custom]).custom_state) == (TaskState.STARTED, "PROGRESS")
    assert (heard([custom]).worker, heard([custom]).started_at) == ("", None)
    assert heard([custom, one.received()]).state is TaskState.RECEIVED
