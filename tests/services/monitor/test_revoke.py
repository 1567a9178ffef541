"""Revoking tasks that wait, run, have ended, or were never heard of, on real workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually, fields_at_fault, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, temporary_valkey


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_MONITOR_CONTROL_TIMEOUT": "1"}


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker")) as worker:
        monitor.await_worker(worker.name)
        yield worker


def revoke(monitor: Monitor, task_id: str, **how: object) -> list[pb.WorkerReply]:
    request = pb.RevokeTaskRequest(name=f"tasks/{task_id}", **how)  # type: ignore[arg-type]
    return list(monitor.tasks.RevokeTask(request).replies)


def await_state(monitor: Monitor, task_id: str, state: pb.TaskState | int) -> pb.Task:
    def reached() -> pb.Task | None:
        try:
            task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
        except grpc.RpcError:
            return None
        return task if task.state == state else None

    found: pb.Task = eventually(reached)
    return found


def test_a_running_task_is_ended_with_terminate_and_one_that_waits_behind_it_is_never_run(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    running = app.send_task("sleep", [600]).id
    await_state(monitor, running, pb.TASK_STATE_STARTED)
    waiting = app.send_task("sleep", [600]).id
    assert [(reply.worker, reply.ok) for reply in revoke(monitor, waiting)] == [(worker.name, True)]

    (reply,) = revoke(monitor, running, terminate=True)
    assert reply.ok
    assert running in reply.message
    assert await_state(monitor, running, pb.TASK_STATE_REVOKED).HasField("end_time")

    await_state(monitor, waiting, pb.TASK_STATE_REVOKED)
    seen = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{waiting}")).task
    assert not seen.HasField("started_time")


def test_a_signal_of_choice_ends_a_running_task(monitor: Monitor, worker: Worker, app: Celery) -> None:
    running = app.send_task("sleep", [600]).id
    await_state(monitor, running, pb.TASK_STATE_STARTED)
    assert revoke(monitor, running, terminate=True, signal="SIGKILL")[0].ok
    await_state(monitor, running, pb.TASK_STATE_REVOKED)


def test_without_terminate_a_running_task_runs_on(monitor: Monitor, worker: Worker, app: Celery) -> None:
    running = app.send_task("sleep", [2]).id
    await_state(monitor, running, pb.TASK_STATE_STARTED)
    assert revoke(monitor, running)[0].ok
    await_state(monitor, running, pb.TASK_STATE_SUCCESS)


def test_an_unknown_task_is_revoked_all_the_same_and_so_discarded_when_it_comes(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    (reply,) = revoke(monitor, "not-sent-yet")
    assert reply.ok
    app.send_task("add", [1, 2], task_id="not-sent-yet")
    await_state(monitor, "not-sent-yet", pb.TASK_STATE_REVOKED)


@pytest.mark.parametrize(("task", "state"), [("add", "SUCCESS"), ("fail", "FAILURE")])
def test_a_task_that_has_ended_cannot_be_revoked(
    monitor: Monitor, worker: Worker, app: Celery, task: str, state: str
) -> None:
    ended = app.send_task(task, [1, 2] if task == "add" else ["on purpose"]).id
    await_state(monitor, ended, pb.TaskState.Value(f"TASK_STATE_{state}"))
    code, message = refused(monitor.tasks.RevokeTask, pb.RevokeTaskRequest(name=f"tasks/{ended}"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert state in message


@pytest.mark.parametrize("name", ["", "tasks/", "celery", "tasks/a/b", "tasks/\0", "tasks/" + "x" * 1000])
def test_a_malformed_name_is_refused(monitor: Monitor, name: str) -> None:
    assert fields_at_fault(monitor.tasks.RevokeTask, pb.RevokeTaskRequest(name=name)) == ["name"]


@pytest.mark.parametrize("signal", ["SIGSTOP", "KILL", "nonsense", "9", "; rm -rf /", "SIGKILL" * 10_000])
def test_a_signal_that_is_none_to_end_a_task_with_is_refused(monitor: Monitor, signal: str) -> None:
    request = pb.RevokeTaskRequest(name="tasks/x", terminate=True, signal=signal)
    assert fields_at_fault(monitor.tasks.RevokeTask, request) == ["signal"]


def test_a_signal_without_terminate_is_refused(monitor: Monitor) -> None:
    request = pb.RevokeTaskRequest(name="tasks/x", signal="SIGKILL")
    assert fields_at_fault(monitor.tasks.RevokeTask, request) == ["signal"]


def test_a_worker_that_is_dead_and_not_yet_missed_is_told_as_one_that_gave_no_answer(
    monitor: Monitor, worker: Worker, broker: Valkey, tmp_path: Path
) -> None:
    with running_worker(broker, tmp_path, name="doomed@test", queues="elsewhere") as doomed:
        monitor.await_worker(doomed.name)
        doomed.kill()
        replies = {reply.worker: reply for reply in revoke(monitor, "whatever")}
    assert replies[worker.name].ok
    assert not replies["doomed@test"].ok
    assert replies["doomed@test"].message == "no answer within 1.0 s"


def test_without_workers_or_broker_it_is_unavailable_and_says_why(
    certificates: Path, tokens: LocalIssuer, postgres_url: str, database_url: str, tmp_path: Path
) -> None:
    request = pb.RevokeTaskRequest(name="tasks/x")
    with (
        temporary_valkey() as broker,
        running_monitor(certificates, tokens, database_url, broker) as monitor,
    ):
        code, message = refused(monitor.tasks.RevokeTask, request)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "none is online" in message
        with running_worker(broker, tmp_path) as worker:
            monitor.await_worker(worker.name)
            broker.stop()
            code, message = refused(monitor.tasks.RevokeTask, request)
            assert code is grpc.StatusCode.UNAVAILABLE
            assert "broker" in message
            broker.start()
            monitor.await_worker(worker.name)
            assert eventually(lambda: all(reply.ok for reply in _replies(monitor, request)))


def _replies(monitor: Monitor, request: pb.RevokeTaskRequest) -> list[pb.WorkerReply]:
    try:
        return list(monitor.tasks.RevokeTask(request).replies)
    except grpc.RpcError:
        return [pb.WorkerReply(ok=False)]
