"""The Watch stream: what comes through it, to whom, and what becomes of a reader that is slow or gone."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2_grpc, tasks_pb2
from celery import Celery
from google.protobuf.duration_pb2 import Duration

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually, fields_at_fault
from tests.support.celery_workers import running_worker
from tests.support.events import CHANNEL, Life, event_message
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey
from tests.support.streams import StreamReader

BUFFER = 100
NEVER = Duration(seconds=60)


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_MONITOR_WATCH_BUFFER": str(BUFFER)}


class Reader(StreamReader[pb.WatchResponse]):
    """Has read tasks, workers and figures."""

    def tasks(self) -> list[tasks_pb2.Task]:
        return [response.task for response in self.seen if response.HasField("task")]

    def metrics(self) -> list[pb.Metrics]:
        return [response.metrics for response in self.seen if response.HasField("metrics")]


def opened(monitor: Monitor, channel: grpc.Channel | None = None, **request: Any) -> Any:
    """A stream over which nothing has been read yet."""
    stub = monitoring_pb2_grpc.MonitoringServiceStub(channel or monitor.channel)
    credentials = grpc.access_token_call_credentials(monitor.token)
    return stub.Watch(pb.WatchRequest(**request), credentials=credentials)


@contextmanager
def watching(monitor: Monitor, **request: Any) -> Iterator[Reader]:
    reader = Reader(opened(monitor, **request))
    try:
        eventually(reader.metrics)
        yield reader
    finally:
        reader.end()


def publish(broker: Valkey, *lives: Life, whole: bool = True) -> None:
    with redis.Redis(broker.host, broker.port) as client:
        for life in lives:
            client.publish(CHANNEL, event_message(life.whole() if whole else life.started()))


def figure(monitor: Monitor, name: str) -> float:
    """A figure without labels from the Prometheus endpoint."""
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def test_figures_come_at_once_and_then_at_the_interval_asked_for(monitor: Monitor) -> None:
    with watching(monitor, metrics_interval=Duration(nanos=200_000_000)) as reader:
        eventually(lambda: len(reader.metrics()) >= 4)
        times = [metrics.time.ToNanoseconds() for metrics in reader.metrics()]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_a_real_task_is_seen_to_come_into_each_state_and_a_worker_to_come_and_go(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    with watching(monitor) as reader:
        with running_worker(broker, tmp_path, name="seen@test"):
            task_id = app.send_task("retry_then_succeed", [1]).id

            def states() -> list[str]:
                mine = [task for task in reader.tasks() if task.name == f"tasks/{task_id}"]
                return [tasks_pb2.TaskState.Name(task.state).removeprefix("TASK_STATE_") for task in mine]

            eventually(lambda: "SUCCESS" in states())

        def came_and_went() -> bool:
            workers = [response.worker for response in reader.seen if response.HasField("worker")]
            mine = [worker.online for worker in workers if worker.name == "workers/seen@test"]
            return mine[:1] == [True] and mine[-1:] == [False]

        eventually(came_and_went)
    seen = states()
    assert seen[0] in ("PENDING", "RECEIVED")
    assert [state for state in seen if state in ("RETRY", "SUCCESS")] == ["RETRY", "SUCCESS"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"task": "mine"}, {("mine", "one"), ("mine", "two")}),
        ({"queue": "two"}, {("mine", "two"), ("other", "two")}),
        ({"task": "other", "queue": "two"}, {("other", "two")}),
        ({"without_tasks": True}, set()),
    ],
)
def test_only_what_was_asked_for_comes(
    monitor: Monitor, broker: Valkey, wanted: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    with watching(monitor) as all_of_it, watching(monitor, **wanted) as reader:
        now = time.time()
        publish(
            broker,
            *(Life(now, name=name, queue=queue) for name in ("mine", "other") for queue in ("one", "two")),
        )
        eventually(lambda: len(all_of_it.tasks()) == 16)
        eventually(lambda: len(reader.tasks()) == 4 * len(expected))
        assert {(task.task, task.queue) for task in reader.tasks()} == expected


def test_a_state_of_choice_is_watched_alone(monitor: Monitor, broker: Valkey) -> None:
    with watching(monitor, state=tasks_pb2.TASK_STATE_SUCCESS) as reader:
        lives = [Life(time.time()) for _ in range(5)]
        publish(broker, *lives)
        eventually(lambda: len(reader.tasks()) == 5)
        assert {task.name for task in reader.tasks()} == {f"tasks/{life.id}" for life in lives}
        assert {task.state for task in reader.tasks()} == {tasks_pb2.TASK_STATE_SUCCESS}


def test_ends_are_watched_alone(monitor: Monitor, broker: Valkey) -> None:
    with watching(monitor, ended_only=True) as reader:
        lives = [Life(time.time()) for _ in range(5)]
        publish(broker, *lives)
        eventually(lambda: len(reader.tasks()) == 5)
        assert {task.name for task in reader.tasks()} == {f"tasks/{life.id}" for life in lives}
        assert {task.state for task in reader.tasks()} == {tasks_pb2.TASK_STATE_SUCCESS}


def narrow_channel(monitor: Monitor, state: Path) -> grpc.Channel:
    """A channel whose window stays at HTTP/2's 64 KiB, so that not reading is noticed soon."""
    credentials = grpc.ssl_channel_credentials(
        (state / "ca.pem").read_bytes(),
        (state / "certs/gateway.key").read_bytes(),
        (state / "certs/gateway.crt").read_bytes(),
    )
    return grpc.secure_channel(monitor.process.address, credentials, options=[("grpc.http2.bdp_probe", 0)])


def test_a_reader_that_does_not_read_is_told_what_it_lost_and_another_gets_all(
    monitor: Monitor, broker: Valkey, certificates: Path
) -> None:
    rounds, size = 100, BUFFER // 4
    total = rounds * size * 4
    with narrow_channel(monitor, certificates) as channel, watching(monitor, metrics_interval=NEVER) as quick:
        slow = opened(monitor, channel, metrics_interval=NEVER)
        assert next(slow).HasField("metrics")
        for number in range(1, rounds + 1):
            publish(broker, *(Life(time.time()) for _ in range(size)))
            eventually(lambda wanted=number * size * 4: len(quick.tasks()) == wanted)
        assert not [response for response in quick.seen if response.HasField("skipped_tasks")]

        came = skipped = 0
        while came + skipped < total:
            response = next(slow)
            came += response.HasField("task")
            skipped += response.skipped_tasks
        slow.cancel()
    assert came + skipped == total
    assert skipped > 0


def test_a_reader_that_goes_away_leaves_nothing_behind(monitor: Monitor) -> None:
    eventually(lambda: figure(monitor, "celeriac_monitor_watchers") == 0)
    streams = [opened(monitor) for _ in range(20)]
    for stream in streams:
        next(stream)
    assert figure(monitor, "celeriac_monitor_watchers") == 20
    for stream in streams:
        stream.cancel()
    eventually(lambda: figure(monitor, "celeriac_monitor_watchers") == 0)


def test_at_shutdown_readers_are_told_to_come_back(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey
) -> None:
    with running_monitor(certificates, tokens, database_url, broker) as other:
        stream = opened(other)
        reader = Reader(stream)
        eventually(reader.metrics)
        assert other.process.stop() == 0
        error = reader.await_end()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "restarted" in error.details()


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"metrics_interval": Duration()}, "metrics_interval"),
        ({"metrics_interval": Duration(nanos=100_000_000)}, "metrics_interval"),
        ({"metrics_interval": Duration(seconds=61)}, "metrics_interval"),
        ({"metrics_interval": Duration(seconds=1, nanos=1)}, "metrics_interval"),
        ({"metrics_interval": Duration(seconds=1, nanos=-1_000_000)}, "metrics_interval"),
        ({"metrics_interval": Duration(seconds=-1)}, "metrics_interval"),
        ({"metrics_interval": Duration(seconds=2**62)}, "metrics_interval"),
        ({"task": "x" * 300}, "task"),
        ({"queue": "\0"}, "queue"),
        ({"state": 99}, "state"),
        ({"without_tasks": True, "task": "add"}, "without_tasks"),
        ({"without_tasks": True, "ended_only": True}, "without_tasks"),
    ],
)
def test_nonsense_is_refused_with_the_fields_name(
    monitor: Monitor, request_fields: dict[str, Any], field: str
) -> None:
    first: Callable[[Any], Any] = lambda request: next(  # noqa: E731
        monitoring_pb2_grpc.MonitoringServiceStub(monitor.channel).Watch(
            request, credentials=grpc.access_token_call_credentials(monitor.token)
        )
    )
    assert fields_at_fault(first, pb.WatchRequest(**request_fields)) == [field]


def test_realtime_metrics_hold_what_happened(monitor: Monitor, app: Celery, broker: Valkey) -> None:
    app.send_task("add", [1, 2], queue="nobody-consumes", priority=9)
    publish(broker, *(Life(time.time(), name="counted") for _ in range(10)))

    def metrics() -> pb.Metrics | None:
        found: pb.Metrics = monitor.monitoring.GetRealtimeMetrics(pb.GetRealtimeMetricsRequest()).metrics
        done = any(task.task == "counted" and task.succeeded == 10 for task in found.tasks)
        waits = any(queue.name == "queues/nobody-consumes" and queue.length == 1 for queue in found.queues)
        return found if done and waits else None

    found = eventually(metrics)
    assert found.events_total >= 40
    assert found.HasField("event_lag")
    counted = next(task for task in found.tasks if task.task == "counted")
    assert counted.p50_runtime.ToMilliseconds() == pytest.approx(100, rel=0.02)
