"""Failures of a real worker, and of many rows, counted by what failed and where."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from services.kernel.database import Database
from services.kernel.sessions import opened_sessions
from services.monitor.tasks import store_failures
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.tasks import TaskState
from tests.support.calls import eventually, fields_at_fault
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.schedules import at
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

WORKER = "plain@failures"
# A day that no worker's task is of. Each failed at one of three places, at the third by way of a library.
LONG_AGO = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
ROWS = 3_000
FILL = f"""
    INSERT INTO celery_task_results_ext
        (id, task, queue, heard_at, updated_at, failed_at, exception_type, exception_message, traceback)
    SELECT 'f-' || n, 'task-' || n % 3, 'alpha', at, at, at, 'ConnectionError', 'order ' || n || E'\\nis bad',
        E'Traceback (most recent call last):\\n  File "/srv/shop/orders.py", line ' || n % 3
        || E', in charge\\n    get(url)\\n' || CASE n % 3 WHEN 2 THEN
            E'  File "/srv/lib/python3.11/site-packages/requests/api.py", line 59, in get\\n    raise\\n'
            ELSE '' END || 'ConnectionError: order ' || n || E'\\nis bad\\n'
    FROM generate_series(1, {ROWS}) AS n,
        LATERAL (SELECT $1::timestamptz - n * interval '1 second' AS at) AS each
"""


@pytest.fixture(scope="module")
def worker(broker: Valkey, monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    with running_worker(broker, folder, queues="alpha", name=WORKER, concurrency=2) as worker:
        monitor.await_worker(WORKER)
        yield worker


@pytest.fixture(scope="module")
def rows(monitor: Monitor, database_url: str) -> None:
    fetch_sync(database_url, FILL, LONG_AGO)


def grouped(monitor: Monitor, size: int = 0, **wanted: Any) -> pb.GroupFailuresResponse:
    request = pb.GroupFailuresRequest(filter=pb.TaskFilter(**wanted), page_size=size)
    found: pb.GroupFailuresResponse = monitor.tasks.GroupFailures(request)
    return found


@pytest.mark.usefixtures("worker")
def test_what_failed_in_a_worker_is_told_with_its_line_and_its_newest_task(
    monitor: Monitor, app: Celery
) -> None:
    for message in ("first", "second", "third"):
        app.send_task("fail", args=[message], queue="alpha")
    app.send_task("add", args=["x", 1], queue="alpha")
    found = eventually(lambda: (answer := grouped(monitor)).failure_count == 4 and answer)
    most, other = found.groups
    assert (most.exception_type, most.count, list(most.task_names)) == ("ValueError", 3, ["fail"])
    assert most.place.startswith("tests/support/celery_workers.py:") and most.place.endswith(" in fail")
    assert other.exception_type == "TypeError" and other.place.endswith(" in add")
    newest = monitor.tasks.GetTask(pb.GetTaskRequest(name=most.newest_task)).task
    assert (newest.exception_message, newest.end_time) == (most.message, most.last_time)
    assert most.first_time.ToDatetime() < most.last_time.ToDatetime()


@pytest.mark.usefixtures("rows")
def test_one_group_stands_for_each_line_whatever_the_messages(monitor: Monitor) -> None:
    then: dict[str, Any] = {"start_time": at(LONG_AGO - dt.timedelta(days=1)), "end_time": at(LONG_AGO)}
    found = grouped(monitor, **then)
    assert (found.failure_count, found.group_count) == (ROWS, 3)
    assert not found.HasField("counted_since_time")
    told = {(each.place, each.count, *each.task_names) for each in found.groups}
    assert told == {(f"srv/shop/orders.py:{line} in charge", ROWS // 3, f"task-{line}") for line in range(3)}
    assert found.groups[0].message == "order 1\nis bad"
    [only] = grouped(monitor, 1, **then, task_names=["task-2"]).groups
    assert (only.place, only.newest_task) == ("srv/shop/orders.py:2 in charge", "tasks/f-2")
    assert grouped(monitor, **then, exception_types=["KeyError"]).failure_count == 0


@pytest.mark.usefixtures("rows")
async def test_of_too_many_the_newest_are_counted_and_it_is_told_since_when(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_failures, "MOST_COUNTED", 100)
    wanted = TaskFilter(states=(TaskState.FAILURE,), end=LONG_AGO)
    async with opened_sessions(Database(database_url)) as sessions, sessions.reading() as session:
        counted = await store_failures.count_failures(session, wanted)
    assert sum(each.count for each in counted.failures) == 100
    assert counted.since == LONG_AGO - dt.timedelta(seconds=100)


@pytest.mark.parametrize(
    ("wanted", "at_fault"),
    [
        ({"start_time": at(LONG_AGO), "end_time": at(LONG_AGO)}, "end_time"),
        ({"task_names": [""]}, "task_names[0]"),
        ({"exception_types": ["a.Error"]}, "exception_types[0]"),
        ({"states": [pb.TASK_STATE_SUCCESS]}, "states"),
        ({"states": [pb.TASK_STATE_FAILURE, pb.TASK_STATE_RETRY]}, "states"),
    ],
)
def test_a_filter_that_can_not_be_meant_is_refused(
    monitor: Monitor, wanted: dict[str, Any], at_fault: str
) -> None:
    request = pb.GroupFailuresRequest(filter=pb.TaskFilter(**wanted))
    assert fields_at_fault(monitor.tasks.GroupFailures, request) == [f"filter.{at_fault}"]
