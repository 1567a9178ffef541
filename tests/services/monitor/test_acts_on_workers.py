"""Pools, consumers and the stop of workers, each told by real workers what became of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2
from celeriac.monitor.v1 import workers_pb2 as pb
from celery import Celery
from google.protobuf.duration_pb2 import Duration
from redis import Redis

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually, fields_at_fault, reason_of, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

FREE, SCALED, THREADS = "free@elsewhere", "scaled@elsewhere", "threads@elsewhere"
DONE, NOT_SENT = tasks_pb2.WORKER_OUTCOME_DONE, tasks_pb2.WORKER_OUTCOME_NOT_SENT
STOPPING = tasks_pb2.WORKER_OUTCOME_STOPPING


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    """A worker that begins processes on a busy machine answers nothing for a while."""
    return {"CELERIAC_MONITOR_CONTROL_TIMEOUT": "6"}


@pytest.fixture(scope="module")
def workers(
    monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Worker]]:
    folder = tmp_path_factory.mktemp("workers")
    events = ("--events",)
    with (
        running_worker(broker, folder, name=FREE, concurrency=2, options=events) as free,
        running_worker(
            broker, folder, name=SCALED, queues="s", options=(*events, "--autoscale=3,1")
        ) as scaled,
        running_worker(broker, folder, name=THREADS, queues="t", pool="threads", options=events) as threads,
    ):
        found = {worker.name: worker for worker in (free, scaled, threads)}
        for name in found:
            monitor.await_worker(name)
        yield found


def outcomes(answer: Any) -> dict[str, int]:
    """By hostname."""
    replies = answer.replies
    return {reply.worker.removeprefix("workers/").partition("~")[0]: reply.outcome for reply in replies}


def named(*names: str) -> list[str]:
    return [f"workers/{name}" for name in names]


def inspected(monitor: Monitor, name: str) -> pb.WorkerInspection:
    answer: pb.InspectWorkerResponse = monitor.workers.InspectWorker(
        pb.InspectWorkerRequest(name=f"workers/{name}")
    )
    return answer.inspection


def pool(monitor: Monitor, name: str) -> pb.WorkerPool:
    return inspected(monitor, name).pool


def queues(monitor: Monitor, name: str) -> list[str]:
    answer = monitor.workers.GetWorker(pb.GetWorkerRequest(name=f"workers/{name}"))
    return list(answer.worker.queues)


def unable(call: Any, request: Any) -> str:
    with pytest.raises(grpc.RpcError) as failed:
        call(request)
    error: Any = failed.value
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error
    assert reason_of(error) == "WORKERS_UNABLE"
    return str(error.details())


def test_each_worker_answers_a_ping(monitor: Monitor, workers: Mapping[str, Worker]) -> None:
    assert outcomes(monitor.workers.PingWorkers(pb.PingWorkersRequest(all=True))) == dict.fromkeys(
        workers, DONE
    )
    (reply,) = monitor.workers.PingWorkers(pb.PingWorkersRequest(workers=named(FREE))).replies
    assert (reply.worker, reply.message) == (monitor.online(FREE)[0].name, "pong")


def test_a_pool_grows_and_shrinks_and_those_that_cannot_are_told_why_and_left_alone(
    monitor: Monitor, workers: Mapping[str, Worker]
) -> None:
    answer = monitor.workers.GrowPool(pb.GrowPoolRequest(all=True, count=2))
    assert outcomes(answer) == {FREE: DONE, SCALED: NOT_SENT, THREADS: NOT_SENT}
    words = {reply.worker.partition("@")[0]: reply.message for reply in answer.replies}
    assert "AutoscalePool" in words["workers/scaled"] and "fixed size" in words["workers/threads"]
    eventually(lambda: pool(monitor, FREE).concurrency == 4)
    assert outcomes(monitor.workers.ShrinkPool(pb.ShrinkPoolRequest(workers=named(FREE), count=3))) == {
        FREE: DONE
    }
    eventually(lambda: pool(monitor, FREE).concurrency == 1)
    why = unable(monitor.workers.ShrinkPool, pb.ShrinkPoolRequest(workers=named(FREE)))
    assert "one has to stay" in why
    assert "fixed size" in unable(monitor.workers.GrowPool, pb.GrowPoolRequest(workers=named(THREADS)))
    assert pool(monitor, FREE).concurrency == 1


def test_the_bounds_of_a_pool_that_scales_itself_are_set(
    monitor: Monitor, workers: Mapping[str, Worker]
) -> None:
    call = monitor.workers.AutoscalePool
    request = pb.AutoscalePoolRequest(workers=named(SCALED, FREE), max_concurrency=5, min_concurrency=2)
    assert outcomes(call(request)) == {SCALED: DONE, FREE: NOT_SENT}
    bounds = pb.AutoscaleBounds(max_concurrency=5, min_concurrency=2)
    assert pool(monitor, SCALED).autoscale == bounds
    why = unable(call, pb.AutoscalePoolRequest(workers=named(SCALED), max_concurrency=1))
    assert "set min_concurrency" in why and pool(monitor, SCALED).autoscale == bounds
    assert "--autoscale" in unable(call, pb.AutoscalePoolRequest(workers=named(FREE), max_concurrency=1))


def test_a_worker_consumes_one_more_queue_and_then_no_more(
    monitor: Monitor, workers: Mapping[str, Worker], app: Celery
) -> None:
    sent = app.send_task("add", [1, 2], queue="extra")
    added = monitor.workers.AddConsumer(pb.AddConsumerRequest(workers=named(FREE), queue="queues/extra"))
    assert outcomes(added) == {FREE: DONE}
    assert queues(monitor, FREE) == ["queues/celery", "queues/extra"]
    assert sent.get(timeout=30) == 3
    cancel = monitor.workers.CancelConsumer
    request = pb.CancelConsumerRequest(all=True, queue="queues/extra")
    assert outcomes(cancel(request)) == {FREE: DONE, SCALED: NOT_SENT, THREADS: NOT_SENT}
    assert queues(monitor, FREE) == ["queues/celery"]
    assert "does not consume" in unable(cancel, request)


def test_a_pool_is_restarted_only_where_the_application_lets_it(
    monitor: Monitor, workers: Mapping[str, Worker], broker: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    call, name = monitor.workers.RestartPool, "restarts@elsewhere"
    assert "worker_pool_restarts" in unable(call, pb.RestartPoolRequest(workers=named(FREE)))
    assert "can't be restarted" in unable(call, pb.RestartPoolRequest(workers=named(THREADS)))
    folder = tmp_path_factory.mktemp("restarts")
    with running_worker(broker, folder, name=name, queues="r", restarts=True):
        monitor.await_worker(name)
        before = set(pool(monitor, name).pids)
        assert outcomes(call(pb.RestartPoolRequest(workers=named(name)))) == {name: DONE}
        eventually(lambda: (pids := set(pool(monitor, name).pids)) and not pids & before)


def test_the_rate_of_a_task_is_limited_in_the_workers_that_are_named(
    monitor: Monitor, workers: Mapping[str, Worker], app: Celery
) -> None:
    def limited() -> set[str]:
        """The workers that say that they have the limit."""
        told = app.control.inspect(timeout=6, limit=len(workers)).registered() or {}
        return {name for name, tasks in told.items() if "echo [rate_limit=1/h]" in tasks}

    limit = monitor.workers.LimitTaskRate
    slow = pb.LimitTaskRateRequest(workers=named(FREE, THREADS), task_name="echo", rate_limit="1/h")
    assert outcomes(limit(slow)) == {FREE: DONE, THREADS: DONE}
    assert limited() == {FREE, THREADS}
    free = pb.LimitTaskRateRequest(all=True, task_name="echo", rate_limit="0")
    assert outcomes(limit(free)) == dict.fromkeys(workers, DONE)
    assert limited() == set()
    unknown = pb.LimitTaskRateRequest(workers=named(FREE), task_name="no.such", rate_limit="1/m")
    (reply,) = limit(unknown).replies
    assert (reply.outcome, reply.message) == (tasks_pb2.WORKER_OUTCOME_FAILED, "unknown task")


def test_what_is_wrong_with_a_request_is_said_and_nobody_is_told(
    monitor: Monitor, workers: Mapping[str, Worker]
) -> None:
    calls = monitor.workers
    assert fields_at_fault(calls.PingWorkers, pb.PingWorkersRequest()) == ["workers"]
    assert fields_at_fault(calls.PingWorkers, pb.PingWorkersRequest(workers=named(FREE), all=True)) == [
        "workers"
    ]
    assert fields_at_fault(calls.GrowPool, pb.GrowPoolRequest(all=True, count=101)) == ["count"]
    assert fields_at_fault(calls.ShrinkPool, pb.ShrinkPoolRequest(workers=["x"], count=-1)) == [
        "count",
        "workers[0]",
    ]
    scale = pb.AutoscalePoolRequest(all=True, max_concurrency=2, min_concurrency=3)
    assert fields_at_fault(calls.AutoscalePool, scale) == ["min_concurrency"]
    assert fields_at_fault(calls.AddConsumer, pb.AddConsumerRequest(all=True)) == ["queue"]
    rate = pb.LimitTaskRateRequest(all=True, rate_limit="10/d")
    assert fields_at_fault(calls.LimitTaskRate, rate) == ["task_name", "rate_limit"]
    code, text = refused(calls.PingWorkers, pb.PingWorkersRequest(workers=named("nobody@nowhere")))
    assert code is grpc.StatusCode.NOT_FOUND and "nobody@nowhere" in text


def test_workers_are_stopped_by_a_super_admin_alone_and_each_is_seen_to_go(
    monitor: Monitor,
    workers: Mapping[str, Worker],
    broker: Valkey,
    app: Celery,
    tokens: LocalIssuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, here, busy = tmp_path_factory.mktemp("stopped"), f"idle@{socket.gethostname()}", "busy@elsewhere"
    top = Caller(monitor.workers._stub, tokens.mint("super_admin", subject="boss"))
    request = pb.ShutdownWorkersRequest(workers=named(busy), wait=Duration(seconds=1))
    code, _ = refused(monitor.workers.ShutdownWorkers, request)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    too_long = pb.ShutdownWorkersRequest(all=True, wait=Duration(seconds=46))
    assert fields_at_fault(top.ShutdownWorkers, too_long) == ["wait"]
    with (
        running_worker(broker, folder, name=here, queues="h") as idle,
        running_worker(broker, folder, name=busy, queues="b") as stopping,
    ):
        for name in (here, busy):
            monitor.await_worker(name)
        app.send_task("sleep", [15], queue="b")
        looked = pb.ShutdownWorkersRequest(workers=named(here, busy), validate_only=True)

        def running() -> dict[str, int]:
            told = top.ShutdownWorkers(looked)
            assert not told.replies
            return {each.worker.partition("~")[0]: each.active_count for each in told.workers}

        eventually(lambda: running() == {f"workers/{here}": 0, f"workers/{busy}": 1})
        assert idle.process.poll() is None and stopping.process.poll() is None
        assert outcomes(top.ShutdownWorkers(request)) == {busy: STOPPING}
        assert stopping.process.poll() is None, "it ends its task first"
        eventually(lambda: not monitor.online(busy))
        patient = pb.ShutdownWorkersRequest(workers=named(here), wait=Duration(seconds=25))
        assert outcomes(top.ShutdownWorkers(patient)) == {here: DONE}
        assert idle.process.poll() is not None


def test_a_worker_is_not_told_to_consume_what_is_no_queue(
    monitor: Monitor, workers: Mapping[str, Worker], broker: Valkey
) -> None:
    for name in (
        "unacked_mutex",
        f"{FREE}.celery.pidbox",
        "celeryev.1",
        "_kombu.binding.celery",
        "t\x06\x163",
    ):
        request = pb.AddConsumerRequest(workers=named(THREADS), queue=f"queues/{name}")
        assert fields_at_fault(monitor.workers.AddConsumer, request) == ["queue"], name
    with Redis(broker.host, broker.port) as client:
        client.hset("basket\x06\x163", "apples", "3")
    # A worker that reads such a key ends at once.
    with pytest.raises(grpc.RpcError) as failed:
        monitor.workers.AddConsumer(pb.AddConsumerRequest(workers=named(THREADS), queue="queues/basket"))
    assert reason_of(failed.value) == "QUEUE_REFUSED"
    assert "'basket\\x06\\x163'" in str(failed.value)
    answer = monitor.workers.PingWorkers(pb.PingWorkersRequest(workers=named(THREADS)))
    assert outcomes(answer) == {THREADS: DONE}
