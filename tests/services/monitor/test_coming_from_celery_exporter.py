"""What danihodovic/celery-exporter tells by its documentation is told by recording rules, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.monitors import Monitor
from tests.support.prometheus import NOT_INSTALLED, PROMETHEUS, Prometheus, running_prometheus
from tests.support.servers import Valkey

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason=NOT_INSTALLED)

OF_TASKS, OF_QUEUE, OF_HOST = {"name", "queue_name"}, {"queue_name"}, {"hostname"}
# Names and labels, by the list in its README and by what its dashboards and alerts select and group by. It
# also tells the `hostname` of tasks, which we don't: no dashboard of its uses it, and it would make a series
# of each worker for each name. Its `celery_active_consumer_count` is for RabbitMQ and Qpid alone.
DOCUMENTED = {
    "celery_task_sent_total": OF_TASKS,
    "celery_task_received_total": OF_TASKS,
    "celery_task_started_total": OF_TASKS,
    "celery_task_succeeded_total": OF_TASKS,
    "celery_task_failed_total": OF_TASKS | {"exception"},
    "celery_task_rejected_total": OF_TASKS,
    "celery_task_revoked_total": OF_TASKS,
    "celery_task_retried_total": OF_TASKS,
    "celery_worker_up": OF_HOST,
    "celery_worker_tasks_active": OF_HOST,
    "celery_task_runtime_bucket": OF_TASKS | {"le"},
    "celery_task_runtime_count": OF_TASKS,
    "celery_task_runtime_sum": OF_TASKS,
    "celery_queue_length": OF_QUEUE,
    "celery_active_worker_count": OF_QUEUE,
    "celery_active_process_count": OF_QUEUE,
}
ITS_JOB = '{job="celery-exporter"}'
# As in its dashboards.
SUCCEEDED = f"sum(celery_task_succeeded_total{ITS_JOB}) by (name)"
SUCCESS_RATE = f"{SUCCEEDED} / ({SUCCEEDED} + sum(celery_task_failed_total{ITS_JOB}) by (name))"


@pytest.fixture(scope="module")
def prometheus(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """It scrapes a monitor whose worker has run tasks that end in all ways."""
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        running_worker(broker, folder, queues="shop", name="one@web1", concurrency=2),
        running_prometheus(folder, {"celeriac-monitor": monitor.metrics_port}) as prometheus,
    ):
        monitor.await_worker("one@web1")
        for _ in range(3):
            app.send_task("add", [1, 2], queue="shop")
        app.send_task("fail", ["on purpose"], queue="shop")
        app.send_task("retry_then_succeed", [1], queue="shop")
        app.send_task("refuse", queue="shop")
        revoked = app.send_task("add", [1, 2], queue="shop", countdown=2)
        app.control.revoke(revoked.id)
        yield prometheus


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_documented_metric_is_told_with_its_labels(prometheus: Prometheus, name: str) -> None:
    def labels() -> set[str]:
        """Of all its series: a task without an exception has no label `exception`."""
        return {label for series in prometheus.query(f"{name}{ITS_JOB}") for label in series["metric"]}

    eventually(lambda: labels() == DOCUMENTED[name] | {"__name__", "job"}, 60)


def test_its_numbers_are_those_of_the_tasks(prometheus: Prometheus) -> None:
    def told(name: str, /, **labels: str) -> float | None:
        selected = ",".join(f'{label}="{value}"' for label, value in labels.items())
        found = prometheus.query(f'{name}{{job="celery-exporter",{selected}}}')
        return float(found[0]["value"][1]) if len(found) == 1 else None

    of_add = {"name": "add", "queue_name": "shop"}
    fault = {"name": "fail", "queue_name": "shop", "exception": "ValueError"}
    eventually(lambda: told("celery_task_succeeded_total", **of_add) == 3, 60)
    eventually(lambda: told("celery_task_failed_total", **fault) == 1)
    eventually(lambda: told("celery_task_failed_total", **of_add) == 0)
    assert told("celery_task_runtime_count", **of_add) == 3
    assert told("celery_worker_up", hostname="web1") == 1
    assert told("celery_active_worker_count", queue_name="shop") == 1
    assert told("celery_active_process_count", queue_name="shop") == 2
    rates = {each["metric"]["name"]: float(each["value"][1]) for each in prometheus.query(SUCCESS_RATE)}
    assert (rates["add"], rates["fail"]) == (1, 0)


def test_no_rule_fails_on_what_a_monitor_tells(prometheus: Prometheus, tmp_path: Path) -> None:
    groups = prometheus.asked("rules")["groups"]
    assert len(groups) > 5
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
