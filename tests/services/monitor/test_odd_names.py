"""Ids, queues and hostnames of any characters, up to 1,024 bytes: by gRPC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import workers_pb2
from celery import Celery

from tests.support.calls import eventually, fields_at_fault
from tests.support.celery_workers import running_worker
from tests.support.event_streams import publish, watching
from tests.support.events import CHANNEL, Life, event_message, heartbeat
from tests.support.metrics import scraped_value
from tests.support.monitors import Monitor
from tests.support.odd_names import ODD_NAMES, TOO_LONG
from tests.support.servers import Valkey


@pytest.fixture(scope="module")
def lives(monitor: Monitor, broker: Valkey) -> Iterator[list[Life]]:
    """A task of each name, on a queue of that name, by a worker of that hostname; all of them are stored."""
    lives = [Life(time.time(), task_id=name, queue=name, hostname=name) for name in ODD_NAMES]
    with watching(monitor) as reader:
        publish(broker, *lives)
        eventually(lambda: len(reader.tasks()) == 4 * len(lives))
    watched = {(task.name, task.queue, task.worker) for task in reader.tasks() if task.worker}
    assert watched == {(f"tasks/{name}", f"queues/{name}", f"workers/{name}~7") for name in ODD_NAMES}

    def stored() -> bool:
        names = [f"tasks/{name}" for name in ODD_NAMES]
        found = monitor.tasks.BatchGetTasks(pb.BatchGetTasksRequest(names=names)).tasks
        return {task.name for task in found if task.state == pb.TASK_STATE_SUCCESS} == set(names)

    eventually(stored)
    yield lives


@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_task_of_any_name_is_found_by_its_id_queue_and_worker(monitor: Monitor, name: str) -> None:
    task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{name}")).task
    assert (task.name, task.queue) == (f"tasks/{name}", f"queues/{name}")
    assert (task.worker, task.root) == (f"workers/{name}~7", f"tasks/{name}")
    for wanted in (
        pb.ListTasksRequest(queues=[f"queues/{name}"]),
        pb.ListTasksRequest(workers=[f"workers/{name}~7"]),
        pb.ListTasksRequest(root=f"tasks/{name}"),
        pb.ListTasksRequest(workers=[f"workers/{name}"]),
    ):
        assert [each.name for each in monitor.tasks.ListTasks(wanted).tasks] == [f"tasks/{name}"]
    with watching(monitor, queues=[f"queues/{name}"], workers=[f"workers/{name}~7"]):
        pass


@pytest.mark.usefixtures("lives")
def test_pages_go_on_after_a_task_of_any_name(monitor: Monitor) -> None:
    seen, request = [], pb.ListTasksRequest(page_size=1, queues=[f"queues/{name}" for name in ODD_NAMES])
    while True:
        page = monitor.tasks.ListTasks(request)
        seen += [task.name for task in page.tasks]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(seen) == sorted(f"tasks/{name}" for name in ODD_NAMES)


def test_a_task_of_any_name_is_revoked(monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path) -> None:
    task_ids = ["r/b", "...", "r%2Fb", "r:revoke", "長" * 341 + "\\"]
    with running_worker(broker, tmp_path, name="odd@test") as worker:
        name = monitor.await_worker(worker.name)[0].name
        for task_id in task_ids:
            replies = monitor.tasks.RevokeTask(pb.RevokeTaskRequest(name=f"tasks/{task_id}")).replies
            (outcome,) = [reply.outcome for reply in replies if reply.worker == name]
            assert outcome == pb.WORKER_OUTCOME_FLAGGED
            app.send_task("add", [1, 2], task_id=task_id)
        request = pb.BatchGetTasksRequest(names=[f"tasks/{task_id}" for task_id in task_ids])

        def revoked() -> bool:
            states = [task.state for task in monitor.tasks.BatchGetTasks(request).tasks]
            return states == [pb.TASK_STATE_REVOKED] * len(task_ids)

        eventually(revoked)


@pytest.mark.parametrize("name", TOO_LONG, ids=len)
def test_a_longer_id_is_refused_in_requests_and_its_events_are_refused_and_counted(
    monitor: Monitor, broker: Valkey, name: str
) -> None:
    for call, request in (
        (monitor.tasks.GetTask, pb.GetTaskRequest(name=f"tasks/{name}")),
        (monitor.tasks.RevokeTask, pb.RevokeTaskRequest(name=f"tasks/{name}")),
    ):
        assert fields_at_fault(call, request) == ["name"]
    wanted = pb.ListTasksRequest(
        queues=[f"queues/{name}"], workers=[f"workers/{name * 2}"], root=name, parent=f"tasks/{name}"
    )
    at_fault = ["queues[0]", "workers[0]", "root", "parent"]
    assert fields_at_fault(monitor.tasks.ListTasks, wanted) == at_fault
    before = scraped_value(monitor.metrics_port, "celery_events_refused_total")
    publish(broker, Life(time.time(), task_id=name))
    eventually(lambda: scraped_value(monitor.metrics_port, "celery_events_refused_total") == before + 4)


def test_a_longer_queue_or_hostname_is_cut_alike_wherever_it_is_shown(
    monitor: Monitor, broker: Valkey
) -> None:
    life = Life(time.time(), queue="q" * 1025, hostname="長" * 400)
    queue, hostname = "q" * 1021 + "…", "長" * 340 + "…"
    with redis.Redis(broker.host, broker.port) as client:
        client.publish(CHANNEL, event_message(heartbeat(time.time(), 0, hostname="長" * 400)))
    publish(broker, life)
    request = pb.BatchGetTasksRequest(names=[f"tasks/{life.id}"])
    (task,) = eventually(lambda: list(monitor.tasks.BatchGetTasks(request).tasks))
    assert (task.queue, task.worker) == (f"queues/{queue}", f"workers/{hostname}~7")
    found = monitor.workers.GetWorker(workers_pb2.GetWorkerRequest(name=task.worker)).worker
    assert (found.name, found.hostname) == (task.worker, hostname)
    wanted = pb.ListTasksRequest(queues=[task.queue], workers=[task.worker])
    assert [each.name for each in monitor.tasks.ListTasks(wanted).tasks] == [task.name]


def test_nul_in_an_id_is_shown_as_a_replacement_and_what_looks_like_an_escaped_one_as_it_is(
    monitor: Monitor, broker: Valkey
) -> None:
    publish(broker, Life(time.time(), task_id="with\0nul"), Life(time.time(), task_id="no\\u0000nul"))
    names = ["tasks/with\ufffdnul", "tasks/no\\u0000nul"]
    request = pb.BatchGetTasksRequest(names=names)

    def found() -> bool:
        return {task.name for task in monitor.tasks.BatchGetTasks(request).tasks} == set(names)

    eventually(found)
    assert fields_at_fault(monitor.tasks.GetTask, pb.GetTaskRequest(name="tasks/with\0nul")) == ["name"]
