"""Rows that earlier versions wrote, which knew no process ids, and no types of exceptions."""

from __future__ import annotations

import time

from celeriac.monitor.v1 import tasks_pb2 as pb

from services.kernel.migrations import migrate
from tests.support.calls import eventually
from tests.support.event_streams import publish_events
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey, create_database
from tests.support.sql import fetch, fetch_sync

WRITE = """
    INSERT INTO celery_task_results_ext
        (id, task, queue, worker, heard_at, updated_at, worker_at, received_at)
    SELECT $1, 'add', 'old', 'celery@host', at, at, at, at
    FROM (SELECT to_timestamp($2::float8) AS at) AS now
"""


def test_a_task_is_of_its_hostname_until_another_event_tells_the_process(
    monitor: Monitor, broker: Valkey, database_url: str
) -> None:
    life = Life(time.time())
    fetch_sync(database_url, WRITE, life.id, time.time() - 1)
    name = f"tasks/{life.id}"

    def task() -> pb.Task:
        found: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=name)).task
        return found

    def listed(worker: str) -> list[str]:
        return [each.name for each in monitor.tasks.ListTasks(pb.ListTasksRequest(workers=[worker])).tasks]

    assert task().worker == "workers/celery@host"
    assert (listed("workers/celery@host"), listed("workers/celery@host~7")) == ([name], [])
    publish_events(broker, life.started())
    eventually(lambda: task().worker == "workers/celery@host~7")
    assert listed("workers/celery@host") == listed("workers/celery@host~7") == [name]


EXCEPTIONS = {
    "ValueError('no luck')": ("ValueError", "no luck"),
    "ValueError()": ("ValueError", ""),
    'KeyError("it\'s")': ("KeyError", '"it\'s"'),
    "OSError(2, 'No such file')": ("OSError", "2, 'No such file'"),
    "billiard.exceptions.TimeLimitExceeded: TimeLimitExceeded(1,)": (
        "TimeLimitExceeded",
        "TimeLimitExceeded(1,)",
    ),
    "a.f.<locals>.Inner": ("Inner", ""),
    "it went wrong": ("", "it went wrong"),
}


async def test_a_stored_exception_gets_its_type_and_message_with_the_migration(postgres_url: str) -> None:
    url = await create_database(postgres_url)
    await migrate(url, "monitor", "0003")
    columns = "id, exception, heard_at, updated_at"
    write = f"INSERT INTO celery_task_results_ext ({columns}) VALUES ($1, $2, now(), now())"
    for words in EXCEPTIONS:
        await fetch(url, write, words, words)
    await fetch(url, write, "none", None)
    await migrate(url, "monitor")
    rows = await fetch(url, "SELECT id, exception_type, exception_message FROM celery_task_results_ext")
    assert {row["id"]: (row[1], row[2]) for row in rows} == {**EXCEPTIONS, "none": (None, None)}
