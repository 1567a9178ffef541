"""What Prometheus scrapes: well-formed, named as promised, and bounded."""

from __future__ import annotations

import signal
import time
import urllib.request
from pathlib import Path

import pytest
import redis
from celery import Celery
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.events import CHANNEL, Life, event_message
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

AGE = "celery_queue_oldest_seconds"


def scrape(monitor: Monitor) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor.metrics_port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def scraped(monitor: Monitor) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(scrape(monitor))}


def value(family: Metric, name: str, **labels: str) -> float | None:
    found = [each.value for each in family.samples if each.name == name and each.labels == labels]
    return found[0] if found else None


def test_real_tasks_are_counted_by_queue_and_status_and_timed(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    with running_worker(broker, tmp_path, queues="quick"):
        for _ in range(3):
            app.send_task("add", [1, 2], queue="quick")
        app.send_task("fail", ["on purpose"], queue="quick")
        app.send_task("add", [1, 2], queue="nobody", priority=6)

        def counted() -> dict[str, Metric] | None:
            found = scraped(monitor)
            succeeded = value(found["celery_tasks"], "celery_tasks_total", queue="quick", status="SUCCESS")
            failed = value(found["celery_tasks"], "celery_tasks_total", queue="quick", status="FAILURE")
            waiting = value(found["celery_queue_length"], "celery_queue_length", queue="nobody")
            up = value(found["celery_active_workers"], "celery_active_workers")
            return found if (succeeded, failed, waiting, up) == (3, 1, 1, 1) else None

        found = eventually(counted)
    seconds = found["celery_task_duration_seconds"]
    assert seconds.type == "histogram"
    assert value(seconds, "celery_task_duration_seconds_count", queue="quick") == 4
    buckets = [each for each in seconds.samples if each.name.endswith("_bucket")]
    mine = [each.value for each in buckets if each.labels["queue"] == "quick"]
    assert mine == sorted(mine)
    assert mine[-1] == 4
    assert (value(found["celery_events"], "celery_events_total") or 0) >= 16
    assert value(found["celery_events_lost"], "celery_events_lost_total") == 0
    assert value(found["celery_event_stream_up"], "celery_event_stream_up") == 1
    assert (value(found["celery_event_lag_seconds"], "celery_event_lag_seconds") or 0) >= 0


def test_age_flow_and_consumers_of_queues_are_told(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    def of_queue(name: str, queue: str) -> float | None:
        return value(scraped(monitor)[f"celery_queue_{name}"], f"celery_queue_{name}", queue=queue)

    with running_worker(broker, tmp_path, queues="fast"):
        eventually(lambda: of_queue("consumers", "fast") == 1)
        for number in range(5):
            app.send_task("add", [number, 2], queue="fast")
            app.send_task("add", [number, 2], queue="unread")
        eventually(lambda: (of_queue("deliveries_per_second", "fast") or 0) > 0)
        eventually(lambda: (of_queue("arrivals_per_second", "unread") or 0) > 0)
        age = eventually(lambda: of_queue("oldest_seconds", "unread"))
        eventually(lambda: (of_queue("oldest_seconds", "unread") or 0) > age)
        eventually(lambda: of_queue("oldest_seconds", "fast") is None)
        assert (of_queue("deliveries_per_second", "unread"), of_queue("consumers", "unread")) == (0, 0)
        assert (of_queue("waiting_for_eta", "fast"), of_queue("unacknowledged", "unread")) == (0, 0)


def test_a_broker_that_hangs_leaves_out_how_old_messages_are_and_nothing_else(
    monitor: Monitor, app: Celery, broker: Valkey
) -> None:
    app.send_task("add", [1, 2], queue="stuck")
    eventually(lambda: value(scraped(monitor)["celery_queue_oldest_seconds"], AGE, queue="stuck") is not None)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    try:
        found = scraped(monitor)
    finally:
        broker.process.send_signal(signal.SIGCONT)
    assert value(found["celery_queue_length"], "celery_queue_length", queue="stuck") == 1
    assert value(found["celery_queue_oldest_seconds"], AGE, queue="stuck") is None
    assert "celery_events" in found
    eventually(lambda: value(scraped(monitor)["celery_queue_oldest_seconds"], AGE, queue="stuck") is not None)


def test_the_systems_components_and_calls_are_there_too(monitor: Monitor) -> None:
    def known() -> dict[str, Metric] | None:
        found = scraped(monitor)
        family = found["celeriac_component_up"]
        return found if value(family, "celeriac_component_up", component="database") == 1 else None

    found = eventually(known)
    assert value(found["celeriac_component_up"], "celeriac_component_up", component="scheduler") == 0
    assert "celeriac_rpc_calls" in found
    assert "process_resident_memory_bytes" in found


def test_a_thousand_queues_and_strange_names_do_not_make_a_thousand_labels(
    monitor: Monitor, broker: Valkey
) -> None:
    """Label explosion: celery-exporter #157, #280."""
    strange = ['say "hi"\n\\', "佇列", "a,b={}"]
    before = value(scraped(monitor)["celery_events"], "celery_events_total") or 0
    with redis.Redis(broker.host, broker.port) as client:
        for queue in [*strange, *(f"queue-{number}" for number in range(1000))]:
            client.publish(CHANNEL, event_message(Life(time.time(), queue=queue).whole()))
            client.sadd(f"_kombu.binding.{queue}", f"{queue}\x06\x16\x06\x16{queue}")

    def all_in() -> bool:
        counted = value(scraped(monitor)["celery_events"], "celery_events_total") or 0
        return counted >= before + 4 * 1003

    eventually(all_in)
    tasks = scraped(monitor)["celery_tasks"]
    queues = {each.labels["queue"] for each in tasks.samples}
    assert len(queues) <= 201
    assert {*strange, "other"} <= queues
    assert value(tasks, "celery_tasks_total", queue="other", status="SUCCESS") == pytest.approx(800, abs=10)
    assert len(eventually(lambda: scraped(monitor)["celery_queue_length"].samples)) <= 200


def test_each_loop_tells_when_it_last_succeeded_and_how_often_it_failed(monitor: Monitor) -> None:
    """The scheduler is not there: the loop that follows its configuration fails, and the others go on."""

    def by_loop(name: str) -> dict[str, float]:
        return {each.labels["loop"]: each.value for each in scraped(monitor)[name].samples}

    before = by_loop("celeriac_loop_last_success_seconds")
    working = {"queues", "workers", "task_writing", "component_database", "audit_outbox"}
    assert working | {"config", "old_tasks"} <= set(before)
    eventually(lambda: by_loop("celeriac_loop_failures")["config"] > 1)

    def gone_on() -> bool:
        after = by_loop("celeriac_loop_last_success_seconds")
        return all(after[loop] > before[loop] for loop in working)

    eventually(gone_on)
    assert by_loop("celeriac_loop_last_success_seconds")["config"] == before["config"]
    assert by_loop("celeriac_loop_failures")["queues"] == 0
