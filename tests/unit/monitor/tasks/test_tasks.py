"""What is known of a task does not depend on the order in which its events came."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import Task, TaskState, state_of
from services.monitor.tasks.values import time_in
from tests.support.events import Life

Events = Sequence[dict[str, Any]]


def heard(events: Events) -> Task:
    record = TaskRecord("t")
    for event in events:
        record.hear(event["type"], int(event["timestamp"] * 1e6 + 0.5), event)
    return record.task_now()


def life() -> Life:
    return Life(1_790_000_000.0, "t")


def retried_twice() -> Events:
    one = life()
    events = [one.sent(), one.received(), one.started(), one.retried("ValueError('first')")]
    events += [one.received(1), one.started(), one.retried("ValueError('second')")]
    return [*events, one.received(2), one.started(), one.succeeded("'at last'")]


def test_a_retry_that_names_the_task_as_its_parent_leaves_the_parent_as_it_was() -> None:
    one = life()
    events = [{**one.received(), "parent_id": "caller"}, {**one.received(1), "parent_id": "t"}]
    assert heard(events).parent_id == "caller"
    assert heard(events[1:]).parent_id == ""


@pytest.mark.parametrize(
    "traceback, shown",
    [
        ("Traceback (most recent call last):\n  File\n    x()\na.B: one\n  two\n", "a.B: one\n  two"),
        (
            "Traceback (most recent call last):\n  File\nKeyError: 'k'\n\nDuring handling of it:\n\n"
            "Traceback (most recent call last):\n  File\nKeyError\n",
            "KeyError",
        ),
        ("Traceback (most recent call last):\n  File", "ExceptionWithTraceback()"),
        ("", "ExceptionWithTraceback()"),
        (None, "ExceptionWithTraceback()"),
    ],
)
def test_an_exception_that_says_nothing_is_told_by_the_traceback(traceback: Any, shown: str) -> None:
    event = {**life().failed(), "exception": "ExceptionWithTraceback()", "traceback": traceback}
    assert heard([event]).exception == shown


@pytest.mark.parametrize(
    "last, state",
    [
        ("sent", TaskState.PENDING),
        ("received", TaskState.RECEIVED),
        ("started", TaskState.STARTED),
        ("succeeded", TaskState.SUCCESS),
        ("failed", TaskState.FAILURE),
        ("retried", TaskState.RETRY),
        ("revoked", TaskState.REVOKED),
        ("rejected", TaskState.REJECTED),
    ],
)
def test_the_newest_event_tells_the_state_in_any_order_and_heard_twice(last: str, state: TaskState) -> None:
    one = life()
    before = {"sent": 0, "received": 1, "started": 2}.get(last, 3)
    events = [*[one.sent(), one.received(), one.started()][:before], getattr(one, last)()]
    expected = heard(events)
    assert expected.state is state
    for order in itertools.permutations([*events, events[0]]):
        assert heard(order) == expected


def test_a_retry_begins_the_cycle_again() -> None:
    states = [heard(retried_twice()[:count]).state.name for count in range(1, 11)]
    again = ["RECEIVED", "STARTED", "RETRY"]
    assert states == ["PENDING", *again, *again, "RECEIVED", "STARTED", "SUCCESS"]


def test_ten_events_of_three_tries_in_any_order_give_one_end() -> None:
    events = list(retried_twice())
    expected = heard(events)
    assert (expected.state, expected.retries, expected.args) == (TaskState.SUCCESS, 2, "(2,)")
    assert expected.exception == "ValueError('second')"
    chance = random.Random(1)
    for _ in range(2000):
        chance.shuffle(events)
        assert heard(events) == expected


def test_an_end_holds_against_a_slow_workers_word_of_an_earlier_try() -> None:
    one = life()
    first = [one.received(), one.started()]
    second = [one.received(1), one.started(), one.succeeded()]
    assert heard([*first, *second, one.retried()]).state is TaskState.SUCCESS


def test_a_task_that_is_delivered_again_after_its_end_runs_again() -> None:
    one = life()
    events = one.whole()
    assert heard([*events, one.received()]).state is TaskState.RECEIVED
    assert heard([*events, one.received(), one.started()]).state is TaskState.STARTED
    failed = heard([*events, one.received(), one.started(), one.failed()])
    assert (failed.state, failed.exception) == (TaskState.FAILURE, "ValueError('no')")


@pytest.mark.parametrize(("last", "state"), [("succeeded", TaskState.SUCCESS), ("failed", TaskState.FAILURE)])
def test_a_worker_whose_time_is_set_back_tells_each_step_after_the_one_before(
    last: str, state: TaskState
) -> None:
    """What a worker's process tells later has a greater logical clock, whatever the time is."""
    before, after = life(), Life(1_789_999_970.0, "t")
    events = [before.received(), before.started(), after.retried(), after.received(1), after.started()]
    events.append(getattr(after, last)())
    told = [{**event, "clock": clock} for clock, event in enumerate(events, 1)]
    states = [heard(told[:most]).state for most in range(1, len(told) + 1)]
    again = TaskState.RECEIVED, TaskState.STARTED
    assert states == [*again, TaskState.RETRY, *again, state]
    twice, once = heard([*told, *told]), heard(told)
    assert (twice.state, twice.ended_at, twice.started_at) == (state, once.ended_at, once.started_at)


@pytest.mark.parametrize(
    "other", [{"pid": 8}, {"hostname": "celery@other"}, {"clock": 1}, {"clock": "9"}, {}]
)
def test_an_end_of_another_process_or_of_before_is_not_taken_for_that_of_the_newest_start(
    other: dict[str, Any],
) -> None:
    one = life()
    end = {**one.succeeded(), "clock": 9, **(other or {"clock": 2})}
    begun = [{**one.received(), "clock": 2}, {**one.started(), "clock": 3}]
    assert heard([*begun, end]).state is TaskState.STARTED


def test_the_senders_clock_may_be_ahead() -> None:
    one = life()
    events = [one.received(), one.started(), one.succeeded()]
    task = heard([*events, one.sent()])
    assert (task.state, task.queue) == (TaskState.SUCCESS, "celery")


times = st.integers(0, 4)


@given(st.lists(times, min_size=7, max_size=7), st.integers(0, 6))
def test_a_newer_start_or_end_never_yields_to_what_is_older(found: list[int], which: int) -> None:
    newest = [*found]
    newest[which] = 5
    state = state_of(*newest)
    names = ["RECEIVED", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED", "REJECTED"]
    if names[which] != "RETRY":
        assert state.name == names[which]


def test_what_is_not_as_celery_writes_it_is_left_out() -> None:
    one = life()
    event = {**one.received(), "args": ["x"], "retries": "many", "eta": 5, "root_id": None, "name": 1}
    task = heard([event, {**one.succeeded(), "result": 3, "runtime": "long", "hostname": None}])
    assert (task.args, task.retries, task.eta, task.root_id, task.task) == ("", 0, None, "", "")
    assert (task.state, task.result, task.runtime) == (TaskState.SUCCESS, "", None)


def test_long_texts_are_cut() -> None:
    one = life()
    task = heard([{**one.received(), "args": "x" * 5000}, {**one.failed(), "traceback": "y" * 99_999}])
    assert (len(task.args), len(task.traceback)) == (2000, 20_000)


@given(st.text(max_size=40))
def test_a_time_that_is_none_is_left_out(text: str) -> None:
    found = time_in(text)
    assert found is None or found.tzinfo is not None


def test_a_task_is_of_the_process_that_sent_the_newest_event_of_a_worker() -> None:
    first, second = (
        Life(1_790_000_000.0, "t", pid=7),
        Life(1_790_000_001.0, "t", hostname="other@host", pid=8),
    )
    events = [first.sent(), first.received(), first.started(), second.received()]
    for order in itertools.permutations(events):
        task = heard(order)
        assert (task.worker, task.worker_pid) == ("other@host", 8)
    without = {**second.started(), "pid": None}
    assert (heard([*events, without]).worker, heard([*events, without]).worker_pid) == ("other@host", None)


def test_an_id_of_another_task_that_is_too_long_is_left_out_and_not_cut() -> None:
    received = {**life().received(), "parent_id": "x" * 1024, "root_id": "x" * 1025}
    assert (heard([received]).parent_id, heard([received]).root_id) == ("x" * 1024, "")


RUN = "schedules/cleanup-cache-daily/runs/20261129T033000.000000Z"


def test_the_run_of_a_task_is_known_in_any_order_also_if_a_worker_sends_the_task_again() -> None:
    one = life()
    events = [{**one.sent(), "run": RUN}, one.received(), one.retried("ValueError"), one.sent(1)]
    for order in itertools.permutations(events):
        assert heard(order).run == RUN


@pytest.mark.parametrize(
    "run", ["", "tasks/t", RUN + "/", RUN.replace("cleanup", "Clean/up"), 7, None, [RUN]]
)
def test_what_is_no_name_of_a_run_is_left_out(run: Any) -> None:
    assert heard([{**life().sent(), "run": run}]).run == ""


def test_only_the_event_of_sending_tells_the_run() -> None:
    assert heard([{**life().received(), "run": RUN}]).run == ""
