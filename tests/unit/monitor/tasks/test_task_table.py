"""The table of recent tasks holds what fits."""

from __future__ import annotations

from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.table import Sent, TaskTable
from tests.support.events import Life


def add(table: TaskTable, life: Life, *kinds: str) -> TaskRecord:
    record = table.get(life.id)
    if record is None:
        record = TaskRecord(life.id)
        table.add(record)
    for kind in kinds:
        event = getattr(life, kind)()
        record.hear(event["type"], int(event["timestamp"] * 1e6), event)
    return record


def test_the_oldest_are_forgotten() -> None:
    table, lives = TaskTable(10, 0), [Life(float(number + 1)) for number in range(25)]
    for life in lives:
        add(table, life, "received", "started", "succeeded")
    assert len(table) == 10
    assert [life for life in lives if table.get(life.id)] == lives[15:]


def test_a_task_that_was_only_sent_leaves_its_queue() -> None:
    table, lives = TaskTable(10, 100), [Life(float(n + 1), queue=f"q{n}") for n in range(60)]
    for life in lives:
        add(table, life, "sent")
    assert (len(table), table.sent) == (10, 50)
    record = add(table, lives[3], "received")
    assert (record.queue, record.task) == ("q3", "add")
    for life in [Life(1.0) for _ in range(500)]:
        add(table, life, "sent")
    assert (len(table), table.sent) == (10, 100)


def test_a_task_that_runs_is_passed_over_once() -> None:
    table = TaskTable(10, 0)
    running = Life(1.0)
    add(table, running, "received", "started")
    for number in range(15):
        add(table, Life(float(number + 2)), "received", "started", "succeeded")
    assert table.get(running.id) is not None
    for number in range(15):
        add(table, Life(float(number + 2)), "received", "started", "succeeded")
    assert table.get(running.id) is None


def test_a_table_full_of_running_tasks_is_bounded_too() -> None:
    table = TaskTable(10, 5)
    for number in range(100):
        add(table, Life(float(number + 1)), "received", "started")
    assert len(table) == 10


def test_what_the_database_tells_of_a_queue_counts_where_no_event_tells_it() -> None:
    table = TaskTable(10, 10)
    known, told, later = Life(1.0), Life(1.0, queue="new"), Life(1.0)
    add(table, known, "received")
    add(table, told, "sent")
    for life in (known, told, later):
        table.recall(life.id, Sent("old", "of-old", 2))
    record = add(table, known, "started")
    assert (record.queue, record.queue_retries, record.task) == ("old", 2, "add")
    assert add(table, told, "received").queue == "new"
    record = add(table, later, "started")
    assert (record.queue, record.task, table.sent) == ("old", "of-old", 0)


def test_an_id_need_not_be_a_uuid() -> None:
    table = TaskTable(1, 10)
    odd = Life(1.0, "order-17-任務-" + "x" * 23, queue="odd")
    add(table, odd, "sent")
    add(table, Life(2.0), "sent")
    assert add(table, odd, "received").queue == "odd"
