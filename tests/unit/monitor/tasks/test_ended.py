"""Tasks that have ended and are written: what is kept of them is what later events need."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pytest

from services.monitor.tasks import ended
from services.monitor.tasks.ended import EndedTasks
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.table import TaskTable
from services.monitor.tasks.trying import forget_attempts
from tests.support.events import Life

T = 1_790_000_000.0
Events: TypeAlias = Sequence[Mapping[str, Any]]
WORKER = WorkerName("celery@host", 7)


def heard(record: TaskRecord, events: Events) -> TaskRecord:
    for event in events:
        record.hear(event["type"], int(event["timestamp"] * 1e6), event)
    return record


def written(events: Events) -> TaskRecord:
    record = heard(TaskRecord(events[0]["uuid"]), events)
    record.forget_texts()
    forget_attempts(record)
    return record


def values(record: TaskRecord) -> Mapping[str, Any]:
    return {name: getattr(record, name) for name in TaskRecord.__struct_fields__}


def retried(life: Life) -> Events:
    return [life.sent(), life.received(), life.started(), life.retried(), life.received(1), life.started()]


USUAL: dict[str, Callable[[Life], Events]] = {
    "whole": lambda life: life.whole(),
    "without the sending": lambda life: [life.received(), life.started(), life.succeeded()],
    "failed": lambda life: [life.sent(), life.received(), life.started(), life.failed()],
    "retried": lambda life: [*retried(life), life.succeeded()],
    "only its end": lambda life: [life.succeeded()],
    "with a parent and a run": lambda life: [
        {**life.sent(), "parent_id": "p", "root_id": "r", "run": "schedules/a/runs/20260101T000000.000000Z"},
        *[life.received(), life.started(), life.succeeded()],
    ],
}
OTHERS: dict[str, Callable[[Life], Events]] = {
    "revoked": lambda life: [life.received(), life.revoked()],
    "rejected": lambda life: [life.received(), life.rejected()],
    "with an expiry": lambda life: [
        {**life.received(), "expires": "2026-01-01T00:00:00"},
        life.started(),
        life.succeeded(),
    ],
    "with an attempt whose end may still come": lambda life: [
        *[life.received(), life.started(), life.received(1), life.started(), life.succeeded()]
    ],
    "not ended": lambda life: [life.received(), life.started()],
}


@pytest.mark.parametrize("way", USUAL)
def test_a_task_is_kept_as_it_was_but_for_its_texts(way: str) -> None:
    record, kept = written(USUAL[way](Life(T))), EndedTasks()
    before = values(record)
    assert kept.keep(record)
    taken = kept.take(record.id)
    assert taken is not None
    assert values(taken) == before
    assert (kept.take(record.id), len(kept)) == (None, 0)


@pytest.mark.parametrize("way", OTHERS)
def test_a_task_that_went_another_way_than_most_is_left_as_it_is(way: str) -> None:
    record, table = written(OTHERS[way](Life(T))), TaskTable(10, 10)
    table.add(record)
    table.settle(record)
    assert table.get(record.id) is record


def test_what_comes_again_of_a_task_that_is_kept_changes_nothing() -> None:
    table, life = TaskTable(10, 10), Life(T)
    events = life.whole()
    record = written(events)
    table.add(record)
    table.settle(record)
    assert (len(table), table.find_open(record.id)) == (1, None)
    again = table.get(record.id)
    assert again is not None and table.find_open(record.id) is again
    for event in events:
        assert not again.hear(event["type"], int(event["timestamp"] * 1e6), event)
    assert again.hear("task-received", int(T * 1e6) + 10**9, life.received(1))
    assert len(table) == 1


def test_the_oldest_that_have_ended_go_before_what_has_not() -> None:
    table, lives = TaskTable(10, 0), [Life(T + number) for number in range(3_000)]
    waiting = written([lives[0].received()])
    table.add(waiting)
    for life in lives[1:]:
        record = written(life.whole())
        table.add(record)
        table.settle(record)
    assert len(table) == 10
    assert [life for life in lives if table.get(life.id)] == [lives[0], *lives[-9:]]
    assert len(table._oldest) < 2_000, "of those that left, no more is kept than of those that are here"


def test_the_tasks_that_a_worker_received_are_found_in_either_form() -> None:
    table = TaskTable(100, 0)
    for number, (hostname, ends) in enumerate(itertools.product(["celery@host", "celery@other"], [1, 0] * 3)):
        life = Life(T + number, hostname=hostname)
        record = written(life.whole() if ends else [life.received()])
        table.add(record)
        table.settle(record)
    found = table.received_by(WORKER, int((T + 2) * 1e6))
    assert sorted(record.received for record in found) == [
        record.received
        for record in sorted(found, key=lambda record: record.heard)
        if record.worker == "celery@host" and record.received >= (T + 2) * 1e6
    ]
    assert len(found) == 4


def test_names_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended, "MOST_SHARED", 50)
    kept = EndedTasks()
    for number in range(200):
        record = written(Life(T, name=f"n{number}").whole())
        assert kept.keep(record)
        taken = kept.take(record.id)
        assert taken is not None and taken.task == f"n{number}"
        assert kept.keep(record)
        assert len(kept) <= 50
    for _ in range(len(kept)):
        kept.drop_oldest()
    assert len(kept) == 0
