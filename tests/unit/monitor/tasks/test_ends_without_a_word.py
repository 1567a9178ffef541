"""A task that has ended, and how is not known."""

from __future__ import annotations

import pytest

from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState
from tests.support.events import Life


def heard(record: TaskRecord, *events: dict[str, object]) -> TaskState:
    for event in events:
        record.hear(str(event["type"]), int(float(str(event["timestamp"])) * 1e6 + 0.5), event)
    return record.state


def test_it_has_ended_until_a_worker_is_heard_of_it_again() -> None:
    life, record = Life(1_790_000_000.0, "t"), TaskRecord("t")
    received, started, again = life.received(), life.started(), life.received()
    heard(record, received, started)
    assert record.vanish(record.started) and record.state is TaskState.ENDED
    assert record.task_now().ended_at is None and record.state.ended
    assert not record.vanish(record.started), "that is no news"
    assert heard(record, again) is TaskState.RECEIVED


@pytest.mark.parametrize("end", ["succeeded", "failed", "revoked", "rejected"])
def test_an_end_that_is_told_is_better_whenever_it_comes(end: str) -> None:
    life, record = Life(1_790_000_000.0, "t"), TaskRecord("t")
    received, started, told = life.received(), life.started(), getattr(life, end)()
    heard(record, received, started)
    record.vanish(record.started)
    state = heard(record, told)
    assert state is not TaskState.ENDED and record.task_now().ended_at is not None


def test_the_last_state_that_it_gave_itself_is_still_shown() -> None:
    life, record = Life(1_790_000_000.0, "t"), TaskRecord("t")
    heard(record, life.received(), life.started())
    record.hear_custom("SKIPPED", record.started + 1)
    record.vanish(record.started)
    assert (record.state, record.task_now().custom_state) == (TaskState.ENDED, "SKIPPED")
