"""GetMetrics and GetDashboard: figures of the machine and of Celery, and a front page in one call."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest
from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import system_pb2, tasks_pb2, workers_pb2
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

FAILURE, SUCCESS = tasks_pb2.TASK_STATE_FAILURE, tasks_pb2.TASK_STATE_SUCCESS


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), name="front@test") as running:
        monitor.await_worker("front@test")
        yield running


@pytest.fixture(scope="module")
def viewer(monitor: Monitor, tokens: LocalIssuer) -> Monitor:
    token = tokens.mint("viewer", subject="vera")
    return Monitor(monitor.process, monitor.channel, token, monitor.metrics_port)


def metrics(monitor: Monitor) -> system_pb2.GetMetricsResponse:
    answer: system_pb2.GetMetricsResponse = monitor.system.GetMetrics(system_pb2.GetMetricsRequest())
    return answer


def dashboard(monitor: Monitor) -> pb.GetDashboardResponse:
    answer: pb.GetDashboardResponse = monitor.monitoring.GetDashboard(pb.GetDashboardRequest())
    return answer


def missing(answer: pb.GetDashboardResponse | system_pb2.GetMetricsResponse) -> dict[str, str]:
    return {each.part: each.reason for each in answer.missing_parts}


def test_the_figures_of_the_machine_are_those_of_this_machine(monitor: Monitor) -> None:
    host = metrics(monitor).host
    assert host.hostname == os.uname().nodename
    assert host.cpu_count == psutil.cpu_count()
    assert host.memory_total_bytes == psutil.virtual_memory().total
    assert 0 < host.memory_available_bytes < host.memory_total_bytes
    assert 0 <= host.cpu_percent <= 100
    assert len(host.load_average) == 3
    assert abs(host.boot_time.ToSeconds() - psutil.boot_time()) <= 2
    root = host.disks[0]
    assert root.path == "/" and 0 <= root.free_bytes < root.total_bytes
    assert host.network_received_bytes >= 0 and host.network_received_per_second >= 0


def test_the_figures_of_celery_count_tasks_by_state_and_workers_and_queues(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    app.send_task("add", (1, 2))
    app.send_task("fail", ("on purpose",))
    app.send_task("add", (1, 2), queue="nobody")

    def counted() -> system_pb2.CeleryMetrics | None:
        celery = metrics(monitor).celery
        states = {each.state: each.count for each in celery.tasks}
        waits = {queue.name: queue.length for queue in celery.queues}.get("queues/nobody") == 1
        return celery if waits and states.get(SUCCESS) and states.get(FAILURE) else None

    celery = eventually(counted)
    assert celery.online_workers == 1 and celery.silent_workers == 0
    assert celery.waiting_messages >= 1
    assert not missing(metrics(monitor))


def test_the_front_page_has_all_parts_and_names_the_one_that_is_away(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    failed = app.send_task("fail", ("for the front page",)).id

    def shown() -> pb.GetDashboardResponse | None:
        answer = dashboard(monitor)
        return answer if f"tasks/{failed}" in {task.name for task in answer.recent_failures} else None

    answer = eventually(shown)
    assert {"scheduler", "monitor", "workers", "events"} <= {each.component for each in answer.components}
    assert answer.health == system_pb2.HEALTH_UNHEALTHY  # of a scheduler and others that are away
    assert [each.hostname for each in answer.workers] == ["front@test"] and answer.worker_count == 1
    assert all(each.state == workers_pb2.WORKER_STATE_ONLINE for each in answer.workers)
    assert all(task.state == FAILURE for task in answer.recent_failures)
    assert len(answer.recent_failures) <= 10
    assert answer.metrics.online_workers == 1
    assert answer.host.cpu_count == psutil.cpu_count()
    assert list(missing(answer)) == ["next_runs"]
    assert "scheduler" in missing(answer)["next_runs"]


def test_a_viewer_sees_no_arguments_on_the_front_page(
    monitor: Monitor, worker: Worker, app: Celery, viewer: Monitor
) -> None:
    app.send_task("fail", ("a word for admins",))

    def page() -> pb.GetDashboardResponse | None:
        answer = dashboard(viewer)
        return answer if answer.recent_failures else None

    for task in eventually(page).recent_failures:
        assert task.args in ("", "[redacted]")


def test_while_the_broker_is_away_the_rest_of_both_answers_is_there(
    monitor: Monitor, worker: Worker, broker: Valkey
) -> None:
    broker.stop()
    try:
        answer = eventually(lambda: "queues" in missing(dashboard(monitor)) and dashboard(monitor))
        assert "broker" in missing(answer)["queues"]
        assert answer.host.cpu_count and answer.components
        assert "queues" in missing(metrics(monitor))
    finally:
        broker.start()
    eventually(lambda: "queues" not in missing(dashboard(monitor)))
