"""What a worker is asked now: its pool, its tasks, its queues, its settings, and what its processes use."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping

import grpc
import psutil
import pytest
from celeriac.monitor.v1 import workers_pb2 as pb
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

# A worker of this machine, by its hostname.
HERE = f"here@{socket.gethostname()}"
ELSEWHERE = "plain@elsewhere"


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    """A worker that begins processes on a busy machine answers nothing for a while."""
    return {"CELERIAC_MONITOR_CONTROL_TIMEOUT": "6"}


@pytest.fixture(scope="module")
def workers(
    monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Worker]]:
    """One of this machine with a pool of two, and one that scales itself and says that it is elsewhere."""
    folder = tmp_path_factory.mktemp("workers")
    with (
        running_worker(broker, folder, name=HERE, concurrency=2) as here,
        running_worker(
            broker,
            folder,
            name=ELSEWHERE,
            queues="other",
            options=("--events", "--autoscale=3,1", "--time-limit=90"),
        ) as elsewhere,
    ):
        for worker in (here, elsewhere):
            monitor.await_worker(worker.name)
        yield {HERE: here, ELSEWHERE: elsewhere}


def inspected(monitor: Monitor, name: str) -> pb.WorkerInspection:
    answer: pb.InspectWorkerResponse = monitor.workers.InspectWorker(
        pb.InspectWorkerRequest(name=f"workers/{name}")
    )
    return answer.inspection


def test_a_worker_tells_its_pool_its_queues_its_tasks_and_what_it_ran(
    monitor: Monitor, workers: Mapping[str, Worker], app: Celery
) -> None:
    app.send_task("add", [1, 2]).get(timeout=30)
    seen = inspected(monitor, HERE)
    assert seen.worker == monitor.online(HERE)[0].name
    assert (seen.pool.kind, seen.pool.concurrency, seen.pool.prefetch_count) == ("prefork", 2, 2)
    assert len(seen.pool.pids) == 2 and not seen.pool.HasField("autoscale")
    assert not seen.pool.HasField("time_limit")
    assert seen.HasField("uptime") and seen.processed["add"] >= 1
    (queue,) = seen.queues
    assert (queue.queue, queue.exchange, queue.exchange_type) == ("queues/celery", "celery", "direct")
    assert queue.options["durable"] == "true"
    assert {"add", "sleep", "echo"} <= set(seen.registered_names)
    assert seen.registered_count == len(seen.registered_names)

    other = inspected(monitor, ELSEWHERE)
    assert other.pool.autoscale == pb.AutoscaleBounds(max_concurrency=3, min_concurrency=1)
    assert other.pool.time_limit.seconds == 90
    assert [queue.queue for queue in other.queues] == ["queues/other"]


def test_tasks_that_run_that_wait_and_that_have_a_time_are_told_with_their_arguments_to_admins_alone(
    monitor: Monitor, workers: Mapping[str, Worker], app: Celery, tokens: LocalIssuer
) -> None:
    running = [app.send_task("sleep", [600]).id for _ in range(2)]
    eventually(lambda: inspected(monitor, HERE).active_count == 2)
    waiting = app.send_task("echo", [1], {"password": "hunter2"}).id
    timed = app.send_task("echo", ["later"], countdown=3000).id
    eventually(lambda: inspected(monitor, HERE).scheduled_count == 1)
    try:
        seen = inspected(monitor, HERE)
        assert {task.task for task in seen.active_tasks} == {f"tasks/{each}" for each in running}
        assert all(task.args == "[600]" and task.started_time.seconds for task in seen.active_tasks)
        assert {task.pid for task in seen.active_tasks} == set(seen.pool.pids)
        (reserved,) = seen.reserved_tasks
        assert (reserved.task, reserved.task_name) == (f"tasks/{waiting}", "echo")
        assert reserved.queue == "queues/celery" and not reserved.acknowledged
        assert "hunter2" not in reserved.kwargs and "[redacted]" in reserved.kwargs
        (scheduled,) = seen.scheduled_tasks
        assert scheduled.task == f"tasks/{timed}" and scheduled.args == "['later']"
        assert scheduled.eta.seconds > seen.inspect_time.seconds + 2000

        viewer = Caller(monitor.workers._stub, tokens.mint("viewer"))
        request = pb.InspectWorkerRequest(name=f"workers/{HERE}")
        hidden = viewer.InspectWorker(request).inspection
        assert {task.args for task in hidden.active_tasks} == {"[redacted]"}
        assert hidden.reserved_tasks[0].kwargs == hidden.scheduled_tasks[0].args == "[redacted]"
        assert hidden.pool == seen.pool
    finally:
        app.control.revoke([*running, waiting, timed], terminate=True)
        eventually(lambda: inspected(monitor, HERE).active_count == 0)


def test_its_settings_are_told_without_secrets(monitor: Monitor, workers: Mapping[str, Worker]) -> None:
    settings = inspected(monitor, HERE).configuration
    assert settings["worker_prefetch_multiplier"] == "1"
    assert settings["task_track_started"] == "true"
    assert settings["application_note"] == '"see redis://app:[redacted]@db:6379/0"'
    assert settings["billing"] == '{"secret": "[redacted]", "pwd": "[redacted]", "retries": 3}'
    assert "hunter2" not in str(settings)


def test_memory_and_cpu_are_those_of_the_workers_own_processes(
    monitor: Monitor, workers: Mapping[str, Worker]
) -> None:
    def whole() -> pb.WorkerInspection | None:
        """Once the worker knows those that came for processes that were ended with their tasks."""
        seen = inspected(monitor, HERE)
        pool = {process.pid for process in seen.processes if not process.main}
        return seen if pool == set(seen.pool.pids) else None

    main, *pool = eventually(whole).processes
    assert main.main and main.pid == workers[HERE].process.pid
    assert len(pool) == 2
    process = psutil.Process(main.pid)
    assert abs(main.memory_bytes - process.memory_info().rss) < 0.2 * main.memory_bytes
    assert abs(main.start_time.seconds - process.create_time()) < 2
    assert main.cpu_time.ToMilliseconds() > 0


def test_of_a_worker_that_is_elsewhere_they_are_not_known_and_all_else_is_told(
    monitor: Monitor, workers: Mapping[str, Worker]
) -> None:
    seen = inspected(monitor, ELSEWHERE)
    assert not seen.processes
    (unknown,) = seen.unknown_parts
    assert unknown.part == pb.WORKER_PART_PROCESSES
    assert "not known" in unknown.reason


def test_a_worker_that_does_not_answer_is_unavailable_and_one_never_heard_of_is_not_found(
    monitor: Monitor, workers: Mapping[str, Worker]
) -> None:
    call = monitor.workers.InspectWorker
    code, text = refused(call, pb.InspectWorkerRequest(name="workers/nobody@nowhere"))
    assert code is grpc.StatusCode.NOT_FOUND and "nobody@nowhere" in text
    code, text = refused(call, pb.InspectWorkerRequest(name="tasks/1"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "for example" in text
    process = workers[ELSEWHERE].process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        code, text = refused(call, pb.InspectWorkerRequest(name=f"workers/{ELSEWHERE}"))
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert code is grpc.StatusCode.UNAVAILABLE and "no answer within 6.0 s" in text
