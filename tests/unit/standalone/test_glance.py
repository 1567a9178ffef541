"""What `make status` says of queues and tasks."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from celeriac.monitor.v1 import queues_pb2, tasks_pb2
from wcwidth import wcswidth

from deploy.standalone.glance import of_failures, of_queues, of_tasks
from deploy.standalone.tables import table

TAIPEI = ZoneInfo("Asia/Taipei")


def task(**fields: Any) -> tasks_pb2.Task:
    one = tasks_pb2.Task(name="tasks/7d1f", task_name="send_report", queue="queues/reports", **fields)
    one.update_time.FromDatetime(dt.datetime(2026, 11, 30, 1, 2, 3, tzinfo=dt.UTC))
    return one


def test_a_queue_shows_what_waits_and_what_workers_hold() -> None:
    exact = queues_pb2.Queue(name="queues/reports", length=1200, unacknowledged=3)
    estimated = queues_pb2.Queue(name="queues/ai", length=0, unacknowledged=4, unacknowledged_estimated=True)
    assert of_queues([exact, estimated]) == [
        "Queues:",
        "  reports  1200 waiting  3 at workers",
        "  ai       0 waiting     about 4 at workers",
    ]


def test_a_task_shows_when_it_was_last_heard_of_in_the_zone() -> None:
    done = task(state=tasks_pb2.TASK_STATE_SUCCESS)
    done.runtime.FromMilliseconds(1234)
    assert of_tasks([done], TAIPEI) == [
        "Recent tasks (last heard of, Asia/Taipei):",
        "  11-30 09:02:03  SUCCESS  send_report  reports  1.23 s",
    ]


def test_a_failure_shows_its_exception_on_one_line() -> None:
    failed = task(state=tasks_pb2.TASK_STATE_FAILURE, exception="ValueError('x')\n" + "y" * 100)
    [heading, line] = of_failures([failed], TAIPEI)
    assert heading == "Recent failures (last heard of, Asia/Taipei):"
    assert line.startswith("  11-30 09:02:03  send_report  ValueError('x') yyy")
    assert line.endswith("y…  tasks/7d1f")


@pytest.mark.parametrize("text", ["no customer of this number " * 5, "找不到這個客戶的資料" * 10])
def test_a_failure_fits_into_the_terminal_with_its_whole_name(text: str) -> None:
    failed = task(state=tasks_pb2.TASK_STATE_FAILURE, exception=text)
    failed.name = "tasks/078256f6-e2d5-4582-8022-e560f797a25e"
    [_, line] = of_failures([failed], TAIPEI, 100)
    assert 98 <= wcswidth(line) <= 100
    assert text[:9] in line and line.endswith(f"…  {failed.name}")


def test_tasks_stand_in_the_order_of_the_time_that_is_shown() -> None:
    sooner, later = task(), task()
    later.update_time.seconds += 60
    for shown in (of_tasks([sooner, later], TAIPEI), of_failures([sooner, later], TAIPEI)):
        assert [line.split()[1] for line in shown[1:]] == ["09:03:03", "09:02:03"]


def test_nothing_is_said_to_be_nothing() -> None:
    assert of_queues([]) == ["Queues: none is known."]
    assert of_tasks([], TAIPEI) == ["Recent tasks: none was heard of."]
    assert of_failures([], TAIPEI) == ["Recent failures: none."]


def test_columns_of_chinese_names_stand_below_one_another() -> None:
    assert table([("報表", "1"), ("mail", "2")]) == ["報表  1", "mail  2"]


def test_what_a_terminal_would_obey_is_shown_escaped_and_within_its_row() -> None:
    assert table([("a\x1b[2Jb\nc", "1"), ("\u202e\x9b", "2")]) == ["a\\x1b[2Jb\\nc  1", "\\u202e\\x9b    2"]


def test_a_long_name_leaves_the_other_columns_on_their_line() -> None:
    failed = task(state=tasks_pb2.TASK_STATE_FAILURE, exception="x")
    failed.task_name = "n" * 255
    failed.queue = f"queues/{'q' * 255}"
    for lines in (of_failures([failed], TAIPEI), of_tasks([failed], TAIPEI)):
        assert max(map(len, lines)) < 160
    assert len(of_queues([queues_pb2.Queue(name=failed.queue)])[1]) < 160
