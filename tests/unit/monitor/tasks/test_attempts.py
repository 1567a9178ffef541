"""What is kept of a task's attempts before its newest one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from services.monitor.tasks.attempts import MOST, Attempt, AttemptEnd, read, written
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.trying import forget_attempts
from tests.support.events import Life

HOST = "celery@host"


def hear(record: TaskRecord, *events: dict[str, Any]) -> TaskRecord:
    for event in events:
        record.hear(event["type"], int(event["timestamp"] * 1e6 + 0.5), event)
    return record


def attempts(record: TaskRecord) -> Sequence[Attempt]:
    stored = written(record.attempts)
    return read(orjson.loads(stored)) if stored else ()


def told(record: TaskRecord) -> list[tuple[int, AttemptEnd, str]]:
    return [(each.retries, each.end, each.exception_message) for each in attempts(record)]


def test_a_task_of_one_attempt_keeps_nothing_beside_it() -> None:
    one = Life(1_790_000_000.0, "t")
    assert hear(TaskRecord("t"), *one.whole()).attempts is None


def test_each_attempt_keeps_its_own_times_queue_worker_and_exception() -> None:
    one = Life(1_790_000_000.0, "t")
    events = [{**one.sent(), "queue": "first"}, one.received(), one.started()]
    events += [{**one.sent(1), "queue": "second"}, one.retried("KeyError('a')")]
    events += [{**one.received(1), "hostname": "other@host"}, {**one.started(), "hostname": "other@host"}]
    record = hear(TaskRecord("t"), *events, {**one.failed(), "hostname": "other@host"})
    (first,) = attempts(record)
    assert (first.queue, first.worker, first.retries) == ("first", WorkerName(HOST, 7), 0)
    assert (first.end, first.exception_type, first.exception_message) == (
        AttemptEnd.RETRIED,
        "KeyError",
        "a",
    )
    assert first.started_at and first.ended_at and first.received_at < first.started_at < first.ended_at
    assert (record.queue, record.worker, record.exception_type) == ("second", "other@host", "ValueError")


def test_an_attempt_that_another_follows_without_an_end_is_left() -> None:
    one = Life(1_790_000_000.0, "t")
    record = hear(TaskRecord("t"), one.received(), one.started(), one.received(), one.started())
    assert told(record) == [(0, AttemptEnd.LEFT, "")]
    # Delivered again after its end, as its worker could not acknowledge it.
    hear(record, one.succeeded(), one.received())
    assert told(record) == [(0, AttemptEnd.LEFT, ""), (0, AttemptEnd.SUCCEEDED, "")]


def test_a_retry_that_is_told_after_the_next_attempt_was_received_ends_the_one_before() -> None:
    one = Life(1_790_000_000.0, "t")
    record = hear(TaskRecord("t"), one.received(), one.started(), one.received(1))
    assert told(record) == [(0, AttemptEnd.LEFT, "")]
    forget_attempts(record)  # as when it is written
    hear(record, one.retried("ValueError('first')"), one.started(), one.retried("ValueError('second')"))
    assert told(record) == [(0, AttemptEnd.RETRIED, "first"), (1, AttemptEnd.RETRIED, "second")]
    forget_attempts(record)
    assert record.attempts is None
    hear(record, one.received(2), one.started(), one.succeeded())
    assert record.attempts is None


def test_no_more_attempts_are_kept_than_the_bound_and_those_are_the_newest() -> None:
    one, record = Life(1_790_000_000.0, "t"), TaskRecord("t")
    for retries in range(3 * MOST):
        hear(record, one.received(retries), one.started(), one.retried(f"ValueError('{retries}')"))
    assert [each.retries for each in attempts(record)] == list(range(2 * MOST, 3 * MOST))
