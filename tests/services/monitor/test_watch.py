"""WatchEvents: what comes through it, to whom, and what becomes of a reader that is slow or gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2_grpc, tasks_pb2, workers_pb2
from celery import Celery
from google.protobuf.duration_pb2 import Duration

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually, fields_at_fault
from tests.support.celery_workers import running_worker
from tests.support.event_streams import Reader, opened, publish, watching
from tests.support.events import Life
from tests.support.metrics import scraped_value
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey

BUFFER = 100
NEVER = Duration(seconds=60)
BOTH_ON_TWO = {("mine", "two"), ("other", "two")}


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_MONITOR_WATCH_BUFFER": str(BUFFER)}


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
            mine = [worker.state for worker in workers if worker.hostname == "seen@test"]
            return mine == [workers_pb2.WORKER_STATE_ONLINE, workers_pb2.WORKER_STATE_GONE]

        eventually(came_and_went)
    seen = states()
    assert seen[0] in ("PENDING", "RECEIVED")
    assert [state for state in seen if state in ("RETRY", "SUCCESS")] == ["RETRY", "SUCCESS"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"task_names": ["mine"]}, {("mine", "one"), ("mine", "two")}),
        ({"queues": ["queues/two"]}, {("mine", "two"), ("other", "two")}),
        ({"task_names": ["other"], "queues": ["queues/two"]}, {("other", "two")}),
        ({"task_names": ["other", "mine"], "queues": ["queues/two", "queues/three"]}, BOTH_ON_TWO),
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
        found = {(task.task_name, task.queue.removeprefix("queues/")) for task in reader.tasks()}
        assert found == expected


def test_a_state_of_choice_is_watched_alone(monitor: Monitor, broker: Valkey) -> None:
    with watching(monitor, states=[tasks_pb2.TASK_STATE_SUCCESS]) as reader:
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


def test_a_worker_is_watched_by_its_name_or_by_its_hostname(monitor: Monitor, broker: Valkey) -> None:
    one, two = (Life(time.time(), pid=pid) for pid in (7, 8))
    with watching(monitor, workers=["workers/celery@host"]) as all_of_it:
        with watching(monitor, workers=["workers/celery@host~8"]) as reader:
            publish(broker, one, two)
            eventually(lambda: len(all_of_it.tasks()) == 6)
            eventually(lambda: len(reader.tasks()) == 3)
        assert {(task.name, task.worker) for task in reader.tasks()} == {
            (f"tasks/{two.id}", "workers/celery@host~8")
        }


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
        assert not [response for response in quick.seen if response.left_out_count]

        came = left_out = 0
        while came + left_out < total:
            response = next(slow)
            came += response.HasField("task")
            left_out += response.left_out_count
        slow.cancel()
    assert came + left_out == total
    assert left_out > 0


def test_a_reader_that_goes_away_leaves_nothing_behind(monitor: Monitor) -> None:
    eventually(lambda: scraped_value(monitor.metrics_port, "celeriac_monitor_watchers") == 0)
    streams = [opened(monitor) for _ in range(20)]
    for stream in streams:
        next(stream)
    assert scraped_value(monitor.metrics_port, "celeriac_monitor_watchers") == 20
    for stream in streams:
        stream.cancel()
    eventually(lambda: scraped_value(monitor.metrics_port, "celeriac_monitor_watchers") == 0)


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
        ({"task_names": ["add", "x" * 300]}, "task_names[1]"),
        ({"queues": ["queues/\0"]}, "queues[0]"),
        ({"queues": ["ai_analysis"]}, "queues[0]"),
        ({"workers": ["queues/ai_analysis"]}, "workers[0]"),
        ({"states": [99]}, "states[0]"),
        ({"without_tasks": True, "task_names": ["add"]}, "without_tasks"),
        ({"without_tasks": True, "ended_only": True}, "without_tasks"),
        ({"task_interval": Duration(nanos=100_000_000)}, "task_interval"),
        ({"task_interval": Duration(seconds=61)}, "task_interval"),
        ({"without_tasks": True, "task_interval": Duration(seconds=1)}, "task_interval"),
        ({"cursor": "nonsense"}, "cursor"),
    ],
)
def test_nonsense_is_refused_with_the_fields_name(
    monitor: Monitor, request_fields: dict[str, Any], field: str
) -> None:
    first: Callable[[Any], Any] = lambda request: next(  # noqa: E731
        monitoring_pb2_grpc.MonitoringServiceStub(monitor.channel).WatchEvents(
            request, credentials=grpc.access_token_call_credentials(monitor.token)
        )
    )
    assert fields_at_fault(first, pb.WatchEventsRequest(**request_fields)) == [field]


def test_realtime_metrics_hold_what_happened(monitor: Monitor, app: Celery, broker: Valkey) -> None:
    app.send_task("add", [1, 2], queue="nobody-consumes", priority=9)
    publish(broker, *(Life(time.time(), name="counted") for _ in range(10)))

    def metrics() -> pb.Metrics | None:
        found: pb.Metrics = monitor.monitoring.GetRealtimeMetrics(pb.GetRealtimeMetricsRequest()).metrics
        done = any(task.task_name == "counted" and task.succeeded == 10 for task in found.tasks)
        waits = any(queue.name == "queues/nobody-consumes" and queue.length == 1 for queue in found.queues)
        return found if done and waits else None

    found = eventually(metrics)
    assert found.events_total >= 40
    assert found.HasField("event_lag")
    counted = next(task for task in found.tasks if task.task_name == "counted")
    assert counted.p50_runtime.ToMilliseconds() == pytest.approx(100, rel=0.02)


def test_tasks_are_collected_over_an_interval_and_each_told_in_its_newest_state(
    monitor: Monitor, broker: Valkey
) -> None:
    with watching(monitor) as each, watching(monitor, task_interval=Duration(seconds=1)) as reader:
        lives = [Life(time.time()) for _ in range(20)]
        publish(broker, *lives)
        eventually(lambda: len(each.tasks()) == 80)

        def newest() -> dict[str, int]:
            together = [response.tasks.tasks for response in reader.seen if response.HasField("tasks")]
            return {task.name: task.state for tasks in together for task in tasks}

        done = {f"tasks/{life.id}": tasks_pb2.TASK_STATE_SUCCESS for life in lives}
        eventually(lambda: newest() == done)
        assert reader.tasks() == []
        told = sum(len(response.tasks.tasks) for response in reader.seen)
        assert told < 80
        assert all(response.cursor for response in reader.seen)
