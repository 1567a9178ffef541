"""Drain, Resume, Shutdown, Restart and Start, with real workers and a real scheduler."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import queues_pb2, tasks_pb2, workers_pb2
from celeriac.monitor.v1 import system_pb2 as pb
from celeriac.operations.v1 import operations_pb2 as operations
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc
from celery import Celery
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually, fields_at_fault, reason_of, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

DONE, CANCELLED = operations.OPERATION_STATE_DONE, operations.OPERATION_STATE_CANCELLED
SENDS = "configs/scheduler.sends_runs"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mark of the supervisor."""
    return tmp_path_factory.mktemp("held") / "held"


@pytest.fixture(scope="module")
def monitor_settings(scheduler: Scheduler, held: Path) -> Mapping[str, str]:
    return {
        "CELERIAC_SCHEDULER_ADDRESS": scheduler.process.address,
        "CELERIAC_MONITOR_HELD_FILE": str(held),
    }


@pytest.fixture(scope="module")
def scheduler(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey
) -> Iterator[Scheduler]:
    with running_scheduler(certificates, tokens, database_url, broker) as running:
        yield running


@pytest.fixture(scope="module")
def operator(monitor: Monitor, scheduler: Scheduler, tokens: LocalIssuer) -> Any:
    """Calls of a super admin who has just shown a second factor."""
    token = tokens.mint("super_admin", subject="olga", amr=["otp"], auth_time=int(time.time()))
    return Monitor(monitor.process, monitor.channel, token, monitor.metrics_port).system


@pytest.fixture(autouse=True)
def started_after(operator: Any) -> Iterator[None]:
    """What a test leaves stopped is started for the next one."""
    yield
    operator.Start(pb.SystemServiceStartRequest())


@contextlib.contextmanager
def worker_of(monitor: Monitor, broker: Valkey, folder: Path, name: str, queues: str) -> Iterator[Worker]:
    with running_worker(broker, folder, name=name, queues=queues) as running:
        monitor.await_worker(name)
        yield running


def waited(monitor: Monitor, operation: operations.Operation) -> operations.Operation:
    """The operation once it has ended."""

    def ended() -> operations.Operation | None:
        request = operations.GetOperationRequest(name=operation.name)
        found: operations.Operation = monitor.operations.GetOperation(request).operation
        return found if found.state in (DONE, CANCELLED) else None

    found: operations.Operation = eventually(ended, 90)
    return found


def sends_runs(scheduler: Scheduler) -> bool:
    caller = Caller(config_pb2_grpc.ConfigServiceStub(scheduler.channel), scheduler.token)
    config = caller.GetConfig(config_pb2.GetConfigRequest(name=SENDS)).config
    return bool(config.value.bool_value) if config.is_set else True


def workers_of(operator: Any) -> pb.Component:
    """The component "workers"."""
    answer = operator.GetStatus(pb.GetStatusRequest())
    components: dict[str, pb.Component] = {each.component: each for each in answer.components}
    return components["workers"]


def length(broker: Valkey, queue: str) -> int:
    with redis.Redis(broker.host, broker.port) as client:
        return int(client.llen(queue))


def seconds(count: float) -> Duration:
    return Duration(nanos=int(count * 1e9) % 10**9, seconds=int(count))


def test_a_drain_lets_running_tasks_end_and_holds_for_workers_that_come_later_until_resume(
    monitor: Monitor,
    operator: Any,
    scheduler: Scheduler,
    broker: Valkey,
    app: Celery,
    database_url: str,
    tmp_path: Path,
) -> None:
    with worker_of(monitor, broker, tmp_path, "first@drain", "celery,other"):
        running = app.send_task("sleep", (4,))
        eventually(lambda: monitor.online("first@drain")[0].active == 1)
        checked = operator.Drain(pb.DrainRequest(validate_only=True))
        assert checked.intake.running and not checked.HasField("operation")
        [concerned] = checked.workers
        assert concerned.worker.startswith("workers/first@drain~") and concerned.task_count == 1

        drained = monitor.system.Drain(pb.DrainRequest())
        assert not drained.intake.running and drained.intake.stopped_by == "mei"
        assert [reply.outcome for reply in drained.replies] == [tasks_pb2.WORKER_OUTCOME_DONE]
        assert drained.intake.scheduler_told and not sends_runs(scheduler)
        waiting = app.send_task("add", (1, 2))
        ended = waited(monitor, drained.operation)
        assert (ended.kind, ended.state, ended.total, ended.done, ended.failed) == (
            "drain_system",
            DONE,
            1,
            1,
            0,
        )
        assert running.get(timeout=1) == 4, "it had ended when the operation had"
        assert length(broker, "celery") == 1, "what was sent meanwhile waits"
        eventually(lambda: "DRAINED by mei" in workers_of(operator).detail)

        with worker_of(monitor, broker, tmp_path, "later@drain", "other"):
            cancelled = "SELECT queue FROM celery_stopped_consumers WHERE hostname = 'later@drain'"
            eventually(lambda: [each["queue"] for each in fetch_sync(database_url, cancelled)] == ["other"])
            eventually(lambda: list(monitor.online("later@drain")[0].queues) == [])
            resumed = monitor.system.Resume(pb.ResumeRequest())
            assert resumed.intake.running
            told = {reply.worker.partition("~")[0]: reply.outcome for reply in resumed.replies}
            assert told == {
                f"workers/{name}@drain": tasks_pb2.WORKER_OUTCOME_DONE for name in ("first", "later")
            }
            assert waiting.get(timeout=30) == 3
            assert app.send_task("add", (2, 2), queue="other").get(timeout=30) == 4
            assert sends_runs(scheduler)


def test_a_pause_and_a_drain_hold_a_queue_each_until_its_own_end(
    monitor: Monitor, operator: Any, broker: Valkey, app: Celery, tmp_path: Path
) -> None:
    def queues() -> list[str]:
        answers = app.control.inspect([name], timeout=5).active_queues() or {}
        return sorted(each["name"] for each in answers[name])

    name = "both@drain"
    with worker_of(monitor, broker, tmp_path, name, "celery,other"):
        eventually(lambda: len(monitor.online(name)[0].queues) == 2)
        monitor.system.Drain(pb.DrainRequest())
        assert queues() == []
        pause = queues_pb2.PauseQueueRequest(name="queues/other")
        monitor.queues.PauseQueue(pause)
        resumed = monitor.system.Resume(pb.ResumeRequest())
        assert [reply.outcome for reply in resumed.replies] == [tasks_pb2.WORKER_OUTCOME_DONE]
        assert queues() == ["celery"], "the pause holds the other"
        # The other way round: the pause ends during a drain.
        monitor.system.Drain(pb.DrainRequest())
        [held] = monitor.queues.ResumeQueue(queues_pb2.ResumeQueueRequest(name="queues/other")).replies
        assert held.outcome == tasks_pb2.WORKER_OUTCOME_NOT_SENT and "by a drain" in held.message
        assert queues() == []
        monitor.system.Resume(pb.ResumeRequest())
        assert queues() == ["celery", "other"]


def test_a_worker_that_hangs_is_waited_for_once_and_not_for_each_of_its_queues(
    monitor: Monitor, operator: Any, broker: Valkey, tmp_path: Path
) -> None:
    queues = [f"many{number}" for number in range(18)]

    def consumed() -> set[str]:
        [worker] = monitor.online("many@elsewhere")
        return {name.removeprefix("queues/") for name in worker.queues}

    with (
        worker_of(monitor, broker, tmp_path, "many@elsewhere", ",".join(queues)) as many,
        worker_of(monitor, broker, tmp_path, "few@elsewhere", "many1,few") as few,
    ):
        eventually(lambda: consumed() == set(queues))
        operator.Drain(pb.DrainRequest())
        eventually(lambda: not consumed())
        many.process.send_signal(signal.SIGSTOP)
        try:
            # The call has half a minute, in which one worker could be waited for 15 times.
            replies = operator.Resume(pb.ResumeRequest()).replies
        finally:
            many.process.send_signal(signal.SIGCONT)
        told = {each.worker.removeprefix("workers/").partition("~")[0]: each.outcome for each in replies}
        assert told["few@elsewhere"] == tasks_pb2.WORKER_OUTCOME_DONE
        assert told["many@elsewhere"] == tasks_pb2.WORKER_OUTCOME_NO_ANSWER
        eventually(lambda: consumed() == set(queues))
        assert few.process.poll() is None


def test_during_a_drain_nothing_is_sent_and_no_worker_is_told_to_consume(
    monitor: Monitor, operator: Any, broker: Valkey, app: Celery, tmp_path: Path
) -> None:
    with worker_of(monitor, broker, tmp_path, "gate@drain", "celery"):
        done = app.send_task("add", (1, 2))
        assert done.get(timeout=30) == 3
        monitor.system.Drain(pb.DrainRequest())
        acts: list[tuple[Any, Any]] = [
            (
                monitor.tasks.RunTask,
                tasks_pb2.RunTaskRequest(task_name="add", queue="queues/celery", args_json="[1, 2]"),
            ),
            (monitor.tasks.RetryTask, tasks_pb2.RetryTaskRequest(name=f"tasks/{done.id}")),
            (monitor.workers.AddConsumer, workers_pb2.AddConsumerRequest(all=True, queue="queues/more")),
        ]
        for act, request in acts:
            with pytest.raises(grpc.RpcError) as failure:
                act(request)
            assert reason_of(failure.value) == "SYSTEM_DRAINED", request
        monitor.system.Resume(pb.ResumeRequest())
        act, request = acts[0]
        # At once, though the worker has not been asked yet whether it consumes again.
        ran = act(request).task.removeprefix("tasks/")
        assert app.AsyncResult(ran).get(timeout=30) == 3


def test_what_still_runs_at_the_end_of_the_time_is_told_and_goes_on(
    monitor: Monitor, operator: Any, broker: Valkey, app: Celery, tmp_path: Path
) -> None:
    with worker_of(monitor, broker, tmp_path, "busy@drain", "celery"):
        running = app.send_task("sleep", (8,))
        eventually(lambda: monitor.online("busy@drain")[0].active == 1)
        drained = monitor.system.Drain(pb.DrainRequest(timeout=seconds(1)))
        ended = waited(monitor, drained.operation)
        assert (ended.done, ended.failed) == (1, 1)
        [words] = json_format.MessageToDict(ended.metadata)["workers"].values()
        assert "tasks left to run: 1" in words
        assert running.get(timeout=30) == 8


def test_a_shutdown_ends_workers_after_their_tasks_and_the_monitor_answers_until_start(
    monitor: Monitor, operator: Any, broker: Valkey, app: Celery, tmp_path: Path, held: Path
) -> None:
    with worker_of(monitor, broker, tmp_path, "ends@shutdown", "celery") as worker:
        running = app.send_task("sleep", (3,))
        eventually(lambda: monitor.online("ends@shutdown")[0].active == 1)
        checked = operator.Shutdown(pb.ShutdownRequest(validate_only=True))
        assert [each.task_count for each in checked.workers] == [1]
        assert "not known here" in checked.note and not held.exists()
        shut = operator.Shutdown(pb.ShutdownRequest())
        assert shut.intake.shut_down and held.exists()
        ended = waited(monitor, shut.operation)
        assert (ended.kind, ended.state, ended.done, ended.failed) == ("shutdown_system", DONE, 1, 0)
        assert running.get(timeout=1) == 3, "its task was let finish"
        assert worker.process.wait(60) == 0
    told = eventually(lambda: "SHUT DOWN by olga" in workers_of(operator).detail and workers_of(operator))
    assert told.health == pb.HEALTH_HEALTHY, "somebody wanted it"
    code, message = refused(monitor.system.Resume, pb.ResumeRequest())
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "/celery-admin/system/start" in message
    # One that another supervisor has started again consumes nothing.
    with worker_of(monitor, broker, tmp_path, "again@shutdown", "celery"):
        eventually(lambda: list(monitor.online("again@shutdown")[0].queues) == [], 30)
        waiting = app.send_task("add", (1, 1))
        started = operator.Start(pb.SystemServiceStartRequest())
        assert started.intake.running and not held.exists()
        assert waiting.get(timeout=30) == 2


def test_a_shutdown_ends_when_the_supervisor_starts_the_system_anew(operator: Any, held: Path) -> None:
    operator.Shutdown(pb.ShutdownRequest())
    held.unlink()
    eventually(lambda: operator.Drain(pb.DrainRequest(validate_only=True)).intake.running)


def test_a_restart_goes_on_when_the_worker_is_back_and_stops_at_one_that_is_not(
    monitor: Monitor, operator: Any, broker: Valkey, tmp_path: Path
) -> None:
    with (
        worker_of(monitor, broker, tmp_path, "a@roll", "celery") as first,
        worker_of(monitor, broker, tmp_path, "b@roll", "celery") as second,
    ):
        checked = operator.Restart(pb.RestartRequest(validate_only=True))
        order = [each.worker.partition("~")[0] for each in checked.workers]
        assert order == ["workers/a@roll", "workers/b@roll"]
        begun = operator.Restart(pb.RestartRequest(worker_timeout=seconds(60)))
        assert first.process.wait(60) == 0
        assert second.process.poll() is None, "the next one's turn comes when the first is back"
        with running_worker(broker, tmp_path, name="a@roll"):
            assert second.process.wait(60) == 0
            with running_worker(broker, tmp_path, name="b@roll"):
                ended = waited(monitor, begun.operation)
                assert (ended.kind, ended.state, ended.done, ended.failed) == ("restart_workers", DONE, 2, 0)
                # Nobody starts the first one again.
                lost = operator.Restart(pb.RestartRequest(worker_timeout=seconds(3)))
                ended = waited(monitor, lost.operation)
                assert ended.state == CANCELLED
                assert ended.note.startswith("NOT_BACK: a@roll~")
                assert "workers after it, left as they are: 1" in ended.note
                assert monitor.online("b@roll")


def test_a_restart_is_refused_while_the_system_is_drained(monitor: Monitor, operator: Any) -> None:
    monitor.system.Drain(pb.DrainRequest())
    code, message = refused(operator.Restart, pb.RestartRequest())
    assert code is grpc.StatusCode.FAILED_PRECONDITION and "DRAINED by mei" in message


def test_a_time_out_of_bounds_is_named(operator: Any) -> None:
    request = pb.DrainRequest(timeout=seconds(0.5), validate_only=True)
    assert fields_at_fault(operator.Drain, request) == ["timeout"]
