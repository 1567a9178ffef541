"""Rows that the version before wrote, which knew no process ids."""

from __future__ import annotations

import time

from celeriac.monitor.v1 import tasks_pb2 as pb

from tests.support.calls import eventually
from tests.support.event_streams import publish_events
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

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
