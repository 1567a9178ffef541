"""The queue of a task whose sender tells none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.workers.consumed import Consumed, queues_in
from services.monitor.workers.workers import WorkerTable
from tests.support.events import Life, heartbeat

ONE, OTHER, BOTH = frozenset({"one"}), frozenset({"other"}), frozenset({"one", "other"})


def received(record: TaskRecord, life: Life, consumed: frozenset[str], retries: int = 0) -> str | None:
    event = life.received(retries)
    record.hear(event["type"], int(event["timestamp"] * 1e6), event)
    record.take_queue(consumed)
    return record.queue


def sent(record: TaskRecord, life: Life, retries: int = 0) -> None:
    event = life.sent(retries)
    record.hear(event["type"], int(event["timestamp"] * 1e6), event)


def test_it_is_the_only_queue_of_the_worker_that_received_it() -> None:
    life, record = Life(1.0), TaskRecord("t")
    assert received(record, life, ONE) == "one"
    assert received(record, life, OTHER, 1) == "other"


def test_of_a_worker_with_several_queues_it_is_not_known() -> None:
    life, record = Life(1.0), TaskRecord("t")
    assert received(record, life, BOTH) is None
    assert received(record, life, ONE, 1) == "one"
    assert received(record, life, BOTH, 2) == "one", "nothing speaks against it"
    assert received(record, life, frozenset({"x", "y"}), 3) == ""
    assert received(record, life, frozenset(), 4) == ""


def test_what_was_told_when_this_try_was_sent_is_believed_whenever_it_comes() -> None:
    life, record = Life(1.0, queue="told"), TaskRecord("t")
    sent(record, life)
    assert received(record, life, ONE) == "told"
    late, record = Life(1.0, queue="told"), TaskRecord("t")
    assert received(record, late, ONE) == "one"
    sent(record, late)
    assert record.queue == "told" and not record.doubt_queue()


def test_what_was_told_of_an_earlier_try_is_not_believed_against_the_worker() -> None:
    life, record = Life(1.0, queue="told"), TaskRecord("t")
    sent(record, life)
    assert received(record, life, frozenset({"told", "one"}), 1) == "told"
    assert received(record, life, ONE, 1) == "one"


def test_a_queue_that_only_the_worker_told_can_be_doubted() -> None:
    record = TaskRecord("t")
    assert not record.doubt_queue()
    received(record, Life(1.0), ONE)
    assert record.doubt_queue() and record.queue == "" and not record.doubt_queue()


def test_queues_are_known_for_what_came_since_they_were_told() -> None:
    consumed = Consumed()
    assert consumed.at(5.0) is None
    assert consumed.told(ONE, 10.0) is None
    assert (consumed.at(9.9), consumed.at(10.0)) == (None, ONE)
    assert consumed.told(ONE, 25.0) is None
    assert consumed.told(BOTH, 40.0) == 25.0, "since the last time that it told the same"
    assert (consumed.at(39.0), consumed.at(40.0)) == (None, BOTH)
    assert consumed.told(None, 55.0) == 40.0
    assert consumed.at(60.0) is None and consumed.told(ONE, 70.0) is None


@pytest.mark.parametrize(
    "said, queues",
    [
        ([[{"name": "one", "exchange": {}}, {"name": "other"}]], BOTH),
        ([[{"name": 5}, "x", {"name": ""}, {"name": "one"}]], ONE),
        ([[]], frozenset()),
        ([], None),
        ([[{"name": "one"}], [{"name": "one"}]], None),
        ([{"error": "no"}], None),
        (["one"], None),
    ],
)
def test_an_answer_tells_the_queues(said: Sequence[Any], queues: frozenset[str] | None) -> None:
    assert queues_in(said) == queues


def test_whose_word_it_is_is_not_known_where_two_have_one_hostname() -> None:
    workers, event = WorkerTable(), Life(1.0).received()
    workers.hear("worker-heartbeat", 1, heartbeat(1.0, 0), 0.0)
    assert workers.consumes("celery@host", ONE, 1.0) is None
    assert (workers.queues_of(event, 2.0), workers.all()[0].queues) == (ONE, ("one",))
    assert workers.queues_of({**event, "pid": 8}, 2.0) is None
    assert workers.consumes("unknown@host", ONE, 1.0) is None
    workers.hear("worker-heartbeat", 1, heartbeat(1.0, 0, pid=8), 2.0)
    unsure = workers.consumes("celery@host", ONE, 3.0)
    assert unsure == (WorkerName("celery@host", 7), 1.0)
    assert workers.queues_of(event, 4.0) is None
