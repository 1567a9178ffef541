"""What is to be thought of a task after a gap."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from services.monitor.gaps import learning
from services.monitor.gaps.held import HeldTask
from services.monitor.gaps.results import StoredEnd
from services.monitor.gaps.verdicts import Evidence, Verdict, verdict_of
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState
from tests.support.events import Life

# In microseconds: the task began at 100, and the gap ended at 200.
NOTHING = Evidence(begun=100, until=200, end=None, held=None, waits=False, everybody=True, again=False)
AGAIN = dataclasses.replace(NOTHING, again=True)
HELD = HeldTask("one", WorkerName("celery@host", 7), 150e-6, {"hostname": "celery@host", "pid": 7})


def unchanged(kind: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    return event


def end(at: int) -> StoredEnd:
    return StoredEnd("task-succeeded", at, {"result": "3"}, {})


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (dataclasses.replace(NOTHING, end=end(150)), Verdict.END),
        (dataclasses.replace(NOTHING, end=end(201)), Verdict.LATER),
        (dataclasses.replace(AGAIN, end=end(201)), Verdict.END),
        (dataclasses.replace(NOTHING, end=end(99)), Verdict.LATER),
        (dataclasses.replace(AGAIN, end=end(99)), Verdict.END),
        (dataclasses.replace(AGAIN, end=end(99), held=HELD), Verdict.HELD),
        (dataclasses.replace(AGAIN, end=end(99), waits=True), Verdict.WAITS),
        (dataclasses.replace(AGAIN, end=end(99), everybody=False), Verdict.LATER),
        (dataclasses.replace(NOTHING, held=HELD), Verdict.HELD),
        (dataclasses.replace(NOTHING, waits=True), Verdict.WAITS),
        (NOTHING, Verdict.LATER),
        (dataclasses.replace(AGAIN, everybody=False), Verdict.LATER),
        (AGAIN, Verdict.VANISHED),
    ],
    ids=[
        "its end is stored",
        "its end is after the gap, so its event may be on the way",
        "its end is after the gap, and no event has come",
        "an end of an earlier try",
        "an end a moment older than the word of its start",
        "an end of an earlier try, and a worker has it again",
        "an end of an earlier try, and it waits again",
        "an end of an earlier try, and a worker does not answer",
        "a worker has it",
        "it waits",
        "it may be on its way",
        "a worker that does not answer may have it",
        "it is nowhere",
    ],
)
def test_what_is_thought_of_a_task(found: Evidence, verdict: Verdict) -> None:
    assert verdict_of(found) is verdict


def heard(*kinds: str) -> TaskRecord:
    life = Life(1000.0)
    record = TaskRecord(life.id)
    for kind in kinds:
        event = getattr(life, kind)()
        record.hear(event["type"], int(event["timestamp"] * 1e6), event)
    return record


def test_a_stored_end_never_seems_older_than_the_start() -> None:
    record = heard("received", "started")
    assert learning.of_end(end(5), unchanged)(record)
    assert (record.state, record.succeeded, record.result) == (TaskState.SUCCESS, record.started, "3")


def test_an_end_stored_before_the_start_is_of_the_last_try_unless_it_was_heard_before() -> None:
    """The clock of the worker's machine may have been set back while it ran the task."""
    record = heard("received", "started")
    assert learning.ends_last_try(end(5), record)
    again = heard("received", "started", "succeeded", "received", "started")
    assert not learning.ends_last_try(end(again.succeeded - 1_000), again)
    assert learning.ends_last_try(end(again.started + 1), again)


def test_a_task_that_vanished_is_ended_until_a_worker_tells_of_it() -> None:
    record = heard("sent", "received", "started")
    assert learning.vanish(record)
    assert (record.state, record.task_now().ended_at) == (TaskState.ENDED, None)
    again = Life(2000.0, record.id)
    for event, state in (
        (again.received(), TaskState.RECEIVED),
        (again.started(), TaskState.STARTED),
        (again.succeeded(), TaskState.SUCCESS),
    ):
        record.hear(event["type"], int(event["timestamp"] * 1e6), event)
        assert record.state is state


def test_an_end_that_comes_late_is_better_than_one_that_is_not_known() -> None:
    life = Life(1000.0)
    record = TaskRecord(life.id)
    events = [life.received(), life.started(), life.failed()]
    for event in events[:2]:
        record.hear(event["type"], int(event["timestamp"] * 1e6), event)
    learning.vanish(record)
    record.hear(events[2]["type"], int(events[2]["timestamp"] * 1e6), events[2])
    assert record.state is TaskState.FAILURE


@pytest.mark.parametrize(
    ("kinds", "started", "state"),
    [
        (["sent"], None, TaskState.RECEIVED),
        (["sent"], 2000.0, TaskState.STARTED),
        (["sent", "received"], 2000.0, TaskState.STARTED),
        (["received", "started", "retried"], None, TaskState.RECEIVED),
        (["received", "started", "retried"], 2000.0, TaskState.STARTED),
    ],
)
def test_what_a_worker_has_is_received_or_started_there(
    kinds: list[str], started: float | None, state: TaskState
) -> None:
    record = heard(*kinds)
    held = dataclasses.replace(HELD, id=record.id, started=started)
    assert learning.of_held(held, int(1500e6), unchanged)(record)
    assert (record.state, record.worker, record.worker_pid) == (state, "celery@host", 7)


def test_what_a_worker_has_as_it_is_known_is_no_news() -> None:
    record = heard("sent", "received", "started")
    held = dataclasses.replace(HELD, id=record.id, started=record.started / 1e6)
    assert not learning.of_held(held, int(1500e6), unchanged)(record)
