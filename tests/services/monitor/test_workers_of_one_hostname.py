"""Two real workers under one hostname are two workers, and neither disturbs what is known of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from celeriac.monitor.v1 import monitoring_pb2, tasks_pb2, workers_pb2
from celery import Celery

from tests.support.calls import eventually, fields_at_fault, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

HOSTNAME = "twin@test"
BARE = f"workers/{HOSTNAME}"
TASKS = 20


@dataclass
class Twin:
    """One of the two; it alone consumes its queue."""

    queue: str
    process: Worker

    @property
    def name(self) -> str:
        return f"{BARE}~{self.process.process.pid}"


@pytest.fixture(scope="module")
def twins(
    monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Twin, Twin]]:
    folders = [tmp_path_factory.mktemp("worker") for _ in range(2)]
    with (
        running_worker(broker, folders[0], name=HOSTNAME, queues="one") as one,
        running_worker(broker, folders[1], name=HOSTNAME, queues="two") as two,
    ):
        monitor.await_worker(HOSTNAME, 2)
        yield Twin("one", one), Twin("two", two)


def test_they_are_listed_and_counted_as_two(monitor: Monitor, twins: tuple[Twin, Twin]) -> None:
    """Two nodes of one name: celery #2938."""
    found = {worker.name: worker for worker in monitor.online(HOSTNAME)}
    assert set(found) == {twin.name for twin in twins}
    for twin in twins:
        worker = monitor.workers.GetWorker(workers_pb2.GetWorkerRequest(name=twin.name)).worker
        assert (worker.hostname, worker.pid) == (HOSTNAME, twin.process.process.pid)
        assert worker.heartbeat_interval.ToMilliseconds() == 2000
    metrics = monitor.monitoring.GetRealtimeMetrics(monitoring_pb2.GetRealtimeMetricsRequest()).metrics
    assert metrics.online_workers == 2


def test_each_ones_own_count_is_held_against_its_own_events(
    monitor: Monitor, twins: tuple[Twin, Twin], app: Celery
) -> None:
    for twin, count in zip(twins, (TASKS, 2 * TASKS), strict=True):
        for number in range(count):
            app.send_task("add", [number, 1], queue=twin.queue)

    def counted() -> bool:
        found = {worker.name: worker for worker in monitor.online(HOSTNAME)}
        one, two = (found[twin.name] for twin in twins)
        return (one.processed, one.started_heard, two.processed, two.started_heard) == (
            *(TASKS, TASKS),
            *(2 * TASKS, 2 * TASKS),
        )

    eventually(counted)
    assert [worker.events_lost for worker in monitor.online(HOSTNAME)] == [0, 0]
    metrics = monitor.monitoring.GetRealtimeMetrics(monitoring_pb2.GetRealtimeMetricsRequest()).metrics
    assert metrics.events_lost == 0
    for twin, count in zip(twins, (TASKS, 2 * TASKS), strict=True):
        request = tasks_pb2.ListTasksRequest(workers=[twin.name], page_size=1000)
        tasks = monitor.tasks.ListTasks(request).tasks
        assert {task.queue for task in tasks} == {f"queues/{twin.queue}"}
        assert len(tasks) == count


def test_the_bare_hostname_is_refused_and_both_are_named(monitor: Monitor, twins: tuple[Twin, Twin]) -> None:
    for call, request, field in (
        (monitor.workers.GetWorker, workers_pb2.GetWorkerRequest(name=BARE), "name"),
        (monitor.tasks.ListTasks, tasks_pb2.ListTasksRequest(workers=[BARE]), "workers[0]"),
    ):
        assert fields_at_fault(call, request) == [field]
        _, message = refused(call, request)
        assert all(twin.name in message for twin in twins)


def test_both_answer_a_command_and_neither_answer_is_lost(
    monitor: Monitor, twins: tuple[Twin, Twin], app: Celery
) -> None:
    running = app.send_task("sleep", [600], queue="one").id
    name = f"tasks/{running}"

    def state() -> int:
        found = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=[name])).tasks
        return int(found[0].state) if found else 0

    eventually(lambda: state() == tasks_pb2.TASK_STATE_STARTED)
    replies = monitor.tasks.RevokeTask(tasks_pb2.RevokeTaskRequest(name=name, terminate=True)).replies
    assert [reply.worker for reply in replies] == [BARE, BARE]
    assert {reply.outcome for reply in replies} == {
        tasks_pb2.WORKER_OUTCOME_DONE,
        tasks_pb2.WORKER_OUTCOME_UNKNOWN_TASK,
    }
    eventually(lambda: state() == tasks_pb2.TASK_STATE_REVOKED)


def test_when_one_has_gone_the_bare_hostname_is_the_others(
    monitor: Monitor, twins: tuple[Twin, Twin]
) -> None:
    one, two = twins
    one.process.stop()

    def gone() -> bool:
        worker = monitor.workers.GetWorker(workers_pb2.GetWorkerRequest(name=one.name)).worker
        return bool(worker.state == workers_pb2.WORKER_STATE_GONE)

    eventually(gone)
    request = workers_pb2.GetWorkerRequest(name=BARE)
    assert monitor.workers.GetWorker(request).worker.name == two.name
    everything = monitor.tasks.ListTasks(tasks_pb2.ListTasksRequest(workers=[BARE], page_size=1000)).tasks
    assert {task.worker for task in everything} == {one.name, two.name}
    revoking = tasks_pb2.RevokeTaskRequest(name="tasks/whatever")
    assert [reply.worker for reply in monitor.tasks.RevokeTask(revoking).replies] == [two.name]
