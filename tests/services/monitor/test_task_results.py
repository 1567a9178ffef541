"""Results of tasks of real workers, whole, as their backend stores them."""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2_grpc
from celery import Celery
from redis import Redis

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually, fields_at_fault, reason_of
from tests.support.celery_workers import running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

WORKER = "extended@results"


@pytest.fixture(scope="module")
def monitor_settings(broker: Valkey) -> Mapping[str, str]:
    return {"CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1"}


@pytest.fixture(scope="module", autouse=True)
def worker(broker: Valkey, monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """It stores arguments with results.

    One process: with two, a retry may end before the backend is told by the first attempt that it is one,
    which then stands there for ever.
    """
    folder = tmp_path_factory.mktemp("worker")
    with running_worker(broker, folder, name=WORKER, concurrency=1, extended=True):
        monitor.await_worker(WORKER)
        yield


@pytest.fixture
def backend(broker: Valkey) -> Iterator[Redis]:
    with Redis(broker.host, broker.port, 1) as client:
        yield client


def result(caller: Caller, task_id: str, **how: Any) -> pb.TaskResult:
    request = pb.GetTaskResultRequest(name=f"tasks/{task_id}", **how)
    found: pb.TaskResult = caller.GetTaskResult(request).result
    return found


def stored(monitor: Monitor, task_id: str, status: str) -> pb.TaskResult:
    def there() -> pb.TaskResult | None:
        try:
            found = result(monitor.tasks, task_id)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
            return None
        return found if found.status == status else None

    found: pb.TaskResult = eventually(there)
    return found


def refusal(monitor: Monitor, task_id: str) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        result(monitor.tasks, task_id)
    error: Any = caught.value
    return reason_of(error), error.details()


def test_a_result_that_events_cut_is_told_whole_and_without_its_secrets(
    monitor: Monitor, app: Celery, tokens: LocalIssuer
) -> None:
    numbers = list(range(2_000))
    task_id = str(app.send_task("echo", [numbers], {"password": "hunter2"}).id)
    found = stored(monitor, task_id, "SUCCESS")
    assert json.loads(found.result_json) == {"args": [numbers], "password": "[redacted]"}
    assert (json.loads(found.args_json), json.loads(found.kwargs_json)) == (
        [numbers],
        {"password": "[redacted]"},
    )
    assert (found.task, found.worker, found.task_name, found.queue) == (
        f"tasks/{task_id}",
        f"workers/{WORKER}",
        "echo",
        "queues/celery",
    )
    assert found.HasField("done_time") and found.expire_time.ToSeconds() > found.done_time.ToSeconds()
    assert len(found.result_json) < found.size_bytes and not found.truncated
    viewer = Caller(tasks_pb2_grpc.TaskServiceStub(monitor.channel), tokens.mint("viewer"))
    seen = result(viewer, task_id)
    assert {seen.result_json, seen.args_json, seen.kwargs_json} == {"[redacted]"}
    assert (seen.status, seen.task_name) == ("SUCCESS", "echo")


def test_a_failure_tells_its_exception_and_a_parent_its_children(monitor: Monitor, app: Celery) -> None:
    failed = stored(monitor, str(app.send_task("fail", ["so it is"]).id), "FAILURE")
    told = json.loads(failed.result_json)
    assert (told["exc_type"], told["exc_message"]) == ("ValueError", ["so it is"])
    assert failed.traceback.rstrip().endswith("ValueError: so it is")
    spawned = stored(monitor, str(app.send_task("spawn").id), "SUCCESS")
    (child,) = spawned.children
    assert child == f"tasks/{json.loads(spawned.result_json)}"
    assert stored(monitor, child.removeprefix("tasks/"), "SUCCESS").parent == spawned.task
    # It called itself again for its retry.
    assert stored(monitor, str(app.send_task("retry_then_succeed", [1]).id), "SUCCESS").parent == ""


def test_a_result_beyond_the_bound_is_told_in_short(monitor: Monitor, app: Celery) -> None:
    task_id = str(app.send_task("echo", ["x" * 20_000]).id)
    size = stored(monitor, task_id, "SUCCESS").size_bytes
    whole, short = (result(monitor.tasks, task_id, max_bytes=most) for most in (size, size - 1))
    assert (whole.truncated, len(whole.result_json) > 20_000) == (False, True)
    assert (short.truncated, short.status, short.size_bytes) == (True, "SUCCESS", size)
    assert not (short.result_json or short.args_json or short.traceback)
    wrong = pb.GetTaskResultRequest(name=f"tasks/{task_id}", max_bytes=-1)
    assert fields_at_fault(monitor.tasks.GetTaskResult, wrong) == ["max_bytes"]


def test_a_result_that_is_not_there_says_why_that_may_be(
    monitor: Monitor, app: Celery, backend: Redis
) -> None:
    reason, words = refusal(monitor, "never-heard-of")
    assert reason == "RESULT_NOT_FOUND" and "ever heard" in words
    waiting = str(app.send_task("add", [1, 2], queue="nobody").id)
    eventually(lambda: "PENDING" in refusal(monitor, waiting)[1])
    ended = str(app.send_task("add", [1, 2]).id)
    stored(monitor, ended, "SUCCESS")
    backend.delete(f"celery-task-meta-{ended}")
    eventually(lambda: "ignore_result" in refusal(monitor, ended)[1])


def test_compressed_results_are_read_and_what_is_none_is_refused(monitor: Monitor, backend: Redis) -> None:
    meta = {"status": "SUCCESS", "result": {"share": float("nan"), "half": "\ud83d"}}
    packed = zlib.compress(json.dumps(meta).encode())
    backend.set("celery-task-meta-packed", b"\0celery-compressed\0application/x-gzip\0" + packed)
    found = result(monitor.tasks, "packed")
    assert json.loads(found.result_json) == {"share": "NaN", "half": "?"}
    assert not found.HasField("expire_time")
    backend.set("celery-task-meta-pickled", pickle.dumps({"status": "SUCCESS"}))
    backend.hset("celery-task-meta-table", "status", "SUCCESS")
    backend.set("celery-task-meta-torn", b"\0celery-compressed\0application/x-gzip\0" + packed[:-9])
    for task_id in ("pickled", "table", "torn"):
        assert refusal(monitor, task_id)[0] == "RESULT_UNREADABLE"
