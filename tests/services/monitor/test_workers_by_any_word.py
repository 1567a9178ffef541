"""Workers are known by any word of them, and what is shown of their presence is true: on real workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from celeriac.monitor.v1 import monitoring_pb2, tasks_pb2, workers_pb2
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually, fields_at_fault, reason_of, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.event_streams import publish_events
from tests.support.events import Life, heartbeat
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey

ONLINE, SILENT, GONE = (
    workers_pb2.WORKER_STATE_ONLINE,
    workers_pb2.WORKER_STATE_SILENT,
    workers_pb2.WORKER_STATE_GONE,
)
MUTE = ("--without-heartbeat", "--without-gossip")


def name_of(worker: Worker) -> str:
    return f"workers/{worker.name}~{worker.process.pid}"


def found(monitor: Monitor, name: str) -> workers_pb2.Worker | None:
    try:
        worker: workers_pb2.Worker = monitor.workers.GetWorker(workers_pb2.GetWorkerRequest(name=name)).worker
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return None
    return worker


def await_state(monitor: Monitor, name: str, state: int) -> workers_pb2.Worker:
    def reached() -> workers_pb2.Worker | None:
        worker = found(monitor, name)
        return worker if worker is not None and worker.state == state else None

    worker: workers_pb2.Worker = eventually(reached)
    return worker


@pytest.fixture(scope="module")
def mute(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """It sends no heartbeats and no events, and has no tasks."""
    folder = tmp_path_factory.mktemp("mute")
    with running_worker(broker, folder, name="mute@test", queues="mute", options=MUTE) as worker:
        yield worker


def test_a_worker_that_sends_nothing_is_found_by_its_answer(monitor: Monitor, mute: Worker) -> None:
    worker = await_state(monitor, name_of(mute), ONLINE)
    assert (worker.hostname, worker.pid, worker.pool) == (mute.name, mute.process.pid, "prefork")
    assert not worker.HasField("heartbeat_interval")
    assert not worker.HasField("clock_skew")


def test_a_busy_worker_that_can_not_say_a_word_is_silent_and_not_gone_until_it_speaks_again(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    """Solo workers without heartbeats: celery #3768."""
    options = ("--events", "--without-heartbeat")
    with running_worker(
        broker, tmp_path, name="solo@test", queues="solo", pool="solo", options=options
    ) as worker:
        app.send_task("add", [1, 2], queue="solo")
        await_state(monitor, name_of(worker), ONLINE)
        # As Flower does when it starts. What comes of it is no heartbeat of its own accord.
        app.control.broadcast("heartbeat")
        eventually(lambda: (found(monitor, name_of(worker)) or workers_pb2.Worker()).software == "py-celery")
        assert not (found(monitor, name_of(worker)) or workers_pb2.Worker()).HasField("heartbeat_interval")
        app.send_task("sleep", [12], queue="solo")
        await_state(monitor, name_of(worker), SILENT)
        await_state(monitor, name_of(worker), ONLINE)
        eventually(lambda: (found(monitor, name_of(worker)) or workers_pb2.Worker()).pool == "solo")


def test_a_worker_whose_tasks_send_events_is_online_though_it_sends_no_heartbeats(
    monitor: Monitor, broker: Valkey
) -> None:
    """It answers no commands either.

    Offline yet active: flower #1007.
    """
    life = Life(1_790_000_000.0, hostname="events-only@test", pid=77)
    publish_events(broker, life.received(), life.started())
    worker = await_state(monitor, "workers/events-only@test~77", ONLINE)
    assert worker.started_heard == 1


def test_two_of_one_hostname_carry_a_warning_and_so_does_a_clock_that_is_wrong(
    monitor: Monitor, broker: Valkey
) -> None:
    """Their beats are made here, so that one of the clocks can be a minute ahead.

    Clock drift: celery #1980, #2565.
    """

    def beat(pid: int, ahead: float) -> None:
        publish_events(broker, heartbeat(time.time() + ahead, 0, hostname="twin@skewed", pid=pid))

    def both() -> list[workers_pb2.Worker]:
        beat(1, 0.0)
        beat(2, 60.0)
        workers = monitor.online("twin@skewed")
        return workers if len(workers) == 2 and workers[0].warnings else []

    right, ahead = eventually(both)
    shared, skewed = workers_pb2.WORKER_WARNING_HOSTNAME_SHARED, workers_pb2.WORKER_WARNING_CLOCK_SKEWED
    assert list(right.warnings) == [shared]
    assert list(ahead.warnings) == [shared, skewed]
    assert 55_000 < ahead.clock_skew.ToMilliseconds() <= 60_000
    assert -5_000 < right.clock_skew.ToMilliseconds() <= 0


def test_a_worker_that_is_online_can_not_be_deleted_and_one_that_is_gone_can(
    monitor: Monitor, broker: Valkey, tmp_path: Path
) -> None:
    """Offline workers that can't be removed: flower #900."""
    with running_worker(broker, tmp_path, name="leaver@test", queues="leaver") as worker:
        name = name_of(worker)
        await_state(monitor, name, ONLINE)
        request = workers_pb2.DeleteWorkerRequest(name=name)
        with pytest.raises(grpc.RpcError) as failed:
            monitor.workers.DeleteWorker(request)
        assert reason_of(failed.value) == "WORKER_ONLINE"
    await_state(monitor, name, GONE)
    monitor.workers.DeleteWorker(request)
    assert found(monitor, name) is None
    assert refused(monitor.workers.DeleteWorker, request)[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("name", ["", "leaver@test", "workers/"])
def test_a_malformed_name_of_a_worker_to_delete_is_refused(monitor: Monitor, name: str) -> None:
    request = workers_pb2.DeleteWorkerRequest(name=name)
    assert fields_at_fault(monitor.workers.DeleteWorker, request) == ["name"]


def test_a_revocation_reaches_a_worker_that_is_silent(
    monitor: Monitor, app: Celery, broker: Valkey, mute: Worker, tmp_path: Path
) -> None:
    """It is stopped for a while, and carries the command out when it goes on."""
    with running_worker(broker, tmp_path, name="frozen@test", queues="frozen") as worker:
        name = name_of(worker)
        await_state(monitor, name, ONLINE)
        os.kill(worker.process.pid, signal.SIGSTOP)
        try:
            await_state(monitor, name, SILENT)
            revoking = tasks_pb2.RevokeTaskRequest(name="tasks/while-frozen")
            replies = {reply.worker: reply.outcome for reply in monitor.tasks.RevokeTask(revoking).replies}
        finally:
            os.kill(worker.process.pid, signal.SIGCONT)
        assert replies[name] == tasks_pb2.WORKER_OUTCOME_NO_ANSWER
        await_state(monitor, name, ONLINE)
        eventually(lambda: "while-frozen" in worker.log())
        app.send_task("add", [1, 2], task_id="while-frozen", queue="frozen")

        def revoked() -> bool:
            names = tasks_pb2.BatchGetTasksRequest(names=["tasks/while-frozen"])
            tasks = monitor.tasks.BatchGetTasks(names).tasks
            return bool(tasks) and tasks[0].state == tasks_pb2.TASK_STATE_REVOKED

        eventually(revoked)


def test_a_monitor_that_has_just_started_reaches_workers_that_it_has_not_heard_yet(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey, mute: Worker
) -> None:
    with running_monitor(certificates, tokens, database_url, broker) as monitor:
        revoking = tasks_pb2.RevokeTaskRequest(name="tasks/at-once")
        replies = {reply.worker: reply.outcome for reply in monitor.tasks.RevokeTask(revoking).replies}
    assert tasks_pb2.WORKER_OUTCOME_FLAGGED in [
        outcome for name, outcome in replies.items() if name.startswith(f"workers/{mute.name}")
    ]
    assert "at-once" in mute.log()


def test_online_workers_are_counted_with_those_that_send_no_heartbeats(
    monitor: Monitor, mute: Worker
) -> None:
    await_state(monitor, name_of(mute), ONLINE)

    def counted() -> bool:
        request = monitoring_pb2.GetRealtimeMetricsRequest()
        metrics = monitor.monitoring.GetRealtimeMetrics(request).metrics
        return bool(metrics.online_workers >= 1)

    eventually(counted)
