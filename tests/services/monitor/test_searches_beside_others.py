"""Lists and searches have connections of their own, so nobody else waits behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2_grpc
from celery import Celery
from sqlalchemy import text

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database
from services.kernel.errors import Exhausted
from services.monitor.tasks import store_lists
from services.monitor.tasks.store_lists import AT_ONCE
from tests.support.calls import Caller, eventually
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

SEARCHES, TASKS = 40, 40_000
# Long texts, in which a search that finds nothing has to look for a while. Tasks of tomorrow are not put into
# the index yet, so each is looked at.
FILL = f"""
    INSERT INTO celery_task_results_ext (id, task, args, exception, heard_at, updated_at, failed_at)
    SELECT 't-' || n, 'fill', '[' || n || ']', repeat('Timeout 错误 ', 100), at, at, at
    FROM generate_series(1, {TASKS}) AS n, LATERAL (SELECT now() + interval '1 day' AS at) AS each
"""
SEARCHING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'celeriac-monitor-lists' AND state = 'active'
        AND query ~ 'celery_task_results_ext'
"""


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_MONITOR_CONTROL_TIMEOUT": "1"}


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker")) as worker:
        monitor.await_worker(worker.name)
        yield worker


def search(viewer: Caller, number: int) -> Any:
    return viewer.begin("ListTasks", pb.ListTasksRequest(text=f"nothing-{number}"))


def test_a_task_is_looked_up_and_revoked_while_a_viewer_has_searches_running_and_waiting(
    monitor: Monitor, worker: Worker, app: Celery, tokens: LocalIssuer, database_url: str
) -> None:
    fetch_sync(database_url, FILL)
    viewer = Caller(tasks_pb2_grpc.TaskServiceStub(monitor.channel), tokens.mint("viewer"))
    searches = [search(viewer, number) for number in range(SEARCHES)]
    eventually(lambda: fetch_sync(database_url, SEARCHING)[0]["count"])
    assert monitor.tasks.GetTask(pb.GetTaskRequest(name="tasks/t-1")).task.task_name == "fill"
    replies = monitor.tasks.RevokeTask(pb.RevokeTaskRequest(name="tasks/not-sent")).replies
    waiting = [each for each in searches if not each.done()]
    assert [reply.outcome for reply in replies] == [pb.WORKER_OUTCOME_FLAGGED]
    assert len(waiting) > SEARCHES / 2
    for each in searches:
        each.cancel()
    # Those that were cancelled leave their room to others.
    assert len(monitor.tasks.ListTasks(pb.ListTasksRequest(text="TIMEOUT", page_size=5)).tasks) == 5


async def test_a_statement_of_a_list_that_takes_too_long_is_ended_and_its_caller_told_why(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lists, "LIST_SECONDS", 0.05)
    async with store_lists.opened_lists(Database(database_url)) as lists:
        for _ in range(AT_ONCE + 1):
            with pytest.raises(Exhausted, match="narrow it by start_time and end_time"):
                async with lists.reading() as session:
                    await session.execute(text("SELECT pg_sleep(60)"))


async def test_a_list_that_finds_no_room_in_time_is_told_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_lists, "AT_ONCE", 1)
    monkeypatch.setattr(store_lists, "WAIT_SECONDS", 0.05)
    async with store_lists.opened_lists(Database(database_url)) as lists, lists.reading():
        with pytest.raises(Exhausted, match="try again"):
            async with lists.reading():
                pass


STORED = """
    INSERT INTO celery_task_results_ext (id, args, heard_at, updated_at)
    SELECT 'stored-' || n, '仓库 ' || n || ' of many', at, at
    FROM generate_series(1, 3000) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS each
"""


def test_a_monitor_puts_stored_tasks_into_the_index_and_finds_them_there(
    monitor: Monitor, database_url: str
) -> None:
    fetch_sync(database_url, STORED)
    in_index = "SELECT coalesce(sum(tasks), 0) AS tasks FROM celery_task_slices"
    eventually(lambda: fetch_sync(database_url, in_index)[0]["tasks"] >= 3000)
    found = monitor.tasks.ListTasks(pb.ListTasksRequest(text="仓库 2998")).tasks
    assert [task.name for task in found] == ["tasks/stored-2998"]
