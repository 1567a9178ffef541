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


def outcomes(replies: list[pb.WorkerReply]) -> list[int]:
    return [reply.outcome for reply in replies]


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
    name = monitor.online(worker.name)[0].name
    (flagged,) = revoke(monitor, waiting)
    assert (flagged.worker, flagged.outcome) == (name, pb.WORKER_OUTCOME_FLAGGED)
    assert waiting in flagged.message and "flagged as revoked" in flagged.message

    (reply,) = revoke(monitor, running, terminate=True)
    assert (reply.worker, reply.outcome) == (name, pb.WORKER_OUTCOME_DONE)
    assert reply.message == f"terminate: {running}"
    assert await_state(monitor, running, pb.TASK_STATE_REVOKED).HasField("end_time")

    await_state(monitor, waiting, pb.TASK_STATE_REVOKED)
    seen = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{waiting}")).task
    assert not seen.HasField("started_time")


def test_a_signal_of_choice_ends_a_running_task(monitor: Monitor, worker: Worker, app: Celery) -> None:
    running = app.send_task("sleep", [600]).id
    await_state(monitor, running, pb.TASK_STATE_STARTED)
    assert outcomes(revoke(monitor, running, terminate=True, signal="SIGKILL")) == [pb.WORKER_OUTCOME_DONE]
    await_state(monitor, running, pb.TASK_STATE_REVOKED)


def test_without_terminate_a_running_task_runs_on(monitor: Monitor, worker: Worker, app: Celery) -> None:
    running = app.send_task("sleep", [2]).id
    await_state(monitor, running, pb.TASK_STATE_STARTED)
    assert outcomes(revoke(monitor, running)) == [pb.WORKER_OUTCOME_FLAGGED]
    await_state(monitor, running, pb.TASK_STATE_SUCCESS)


def test_an_unknown_task_is_revoked_all_the_same_and_so_discarded_when_it_comes(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    for task_id, terminate, outcome in (
        ("not-sent-yet", False, pb.WORKER_OUTCOME_FLAGGED),
        ("nor-this", True, pb.WORKER_OUTCOME_UNKNOWN_TASK),
    ):
        assert outcomes(revoke(monitor, task_id, terminate=terminate)) == [outcome]
        app.send_task("add", [1, 2], task_id=task_id)
        await_state(monitor, task_id, pb.TASK_STATE_REVOKED)


def test_a_worker_whose_pool_can_not_kill_says_so_and_its_task_runs_on(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    with running_worker(broker, tmp_path, name="threads@test", queues="threads", pool="threads") as threads:
        name = monitor.await_worker(threads.name)[0].name
        running = app.send_task("sleep", [2], queue="threads").id
        await_state(monitor, running, pb.TASK_STATE_STARTED)
        (reply,) = [reply for reply in revoke(monitor, running, terminate=True) if reply.worker == name]
        assert reply.outcome == pb.WORKER_OUTCOME_FAILED
        assert "NotImplementedError" in reply.message
        await_state(monitor, running, pb.TASK_STATE_SUCCESS)


@pytest.mark.parametrize(("task", "state"), [("add", "SUCCESS"), ("fail", "FAILURE")])
def test_a_task_that_has_ended_cannot_be_revoked(
    monitor: Monitor, worker: Worker, app: Celery, task: str, state: str
) -> None:
    ended = app.send_task(task, [1, 2] if task == "add" else ["on purpose"]).id
    await_state(monitor, ended, pb.TaskState.Value(f"TASK_STATE_{state}"))
    code, message = refused(monitor.tasks.RevokeTask, pb.RevokeTaskRequest(name=f"tasks/{ended}"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert state in message


@pytest.mark.parametrize("name", ["", "tasks/", "celery", "task/a", "tasks/\0", "tasks/" + "x" * 1025])
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
        replies = {reply.worker.partition("~")[0]: reply for reply in revoke(monitor, "whatever")}
    assert replies[f"workers/{worker.name}"].outcome == pb.WORKER_OUTCOME_FLAGGED
    assert replies["workers/doomed@test"].outcome == pb.WORKER_OUTCOME_NO_ANSWER
    assert replies["workers/doomed@test"].message == "no answer within 1.0 s"


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
            flagged = [pb.WORKER_OUTCOME_FLAGGED]
            # Of the other one Celery has stored that it is revoked.
            another = pb.RevokeTaskRequest(name="tasks/y")
            assert eventually(lambda: outcomes(_replies(monitor, another)) == flagged)


def _replies(monitor: Monitor, request: pb.RevokeTaskRequest) -> list[pb.WorkerReply]:
    try:
        return list(monitor.tasks.RevokeTask(request).replies)
    except grpc.RpcError:
        return []
