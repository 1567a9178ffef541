"""What Prometheus scrapes: well-formed, named as promised, and bounded."""

from __future__ import annotations

import asyncio
import signal
import time
import urllib.request
from pathlib import Path

import asyncpg
import pytest
import redis
from celery import Celery
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.calls import eventually
from tests.support.celery_workers import running_worker
from tests.support.events import CHANNEL, Life, event_message
from tests.support.locks import waiting_for_a_lock
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

TRIES = ("STARTED", "SUCCESS", "FAILURE")
AGE, LENGTH = "celery_queue_oldest_seconds", "celery_queue_length"


def scrape(monitor: Monitor) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor.metrics_port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def scraped(monitor: Monitor) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(scrape(monitor))}


def value(family: Metric, name: str, /, **labels: str) -> float | None:
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
    by_name, failures = found["celery_tasks_by_name"], found["celery_task_failures"]
    of = {"name": "add", "queue": "quick"}
    assert value(by_name, "celery_tasks_by_name_total", **of, status="SUCCESS") == 3
    fault = {"name": "fail", "queue": "quick", "exception": "ValueError"}
    assert value(failures, "celery_task_failures_total", **fault) == 1
    for waits in ("celery_task_queue_wait_seconds", "celery_task_worker_wait_seconds"):
        assert value(found[waits], f"{waits}_count", queue="quick") == 4
        assert 0 <= (value(found[waits], f"{waits}_sum", queue="quick") or 0) < 120
    ran = found["celery_task_runtime_seconds"]
    assert value(ran, "celery_task_runtime_seconds_count", **of) == 3
    tries = found["celeriac_monitor_worker_tries"]
    name = "celeriac_monitor_worker_tries_total"
    assert [value(tries, name, worker="plain@test", status=state) for state in TRIES] == [4, 3, 1]
    assert value(found["celery_worker_up"], "celery_worker_up", worker="plain@test") == 1
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
        eventually(lambda: of_queue("oldest_seconds", "fast") == 0)
        assert (of_queue("deliveries_per_second", "unread"), of_queue("consumers", "unread")) == (0, 0)
        assert (of_queue("waiting_for_eta", "fast"), of_queue("unacknowledged", "unread")) == (0, 0)


def test_a_broker_that_hangs_leaves_out_what_was_read_of_queues_and_keeps_no_scrape_waiting(
    monitor: Monitor, app: Celery, broker: Valkey
) -> None:
    app.send_task("add", [1, 2], queue="stuck")
    eventually(lambda: value(scraped(monitor)[AGE], AGE, queue="stuck") is not None)
    assert broker.process is not None
    broker.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        found = scraped(monitor)
        while value(found[LENGTH], LENGTH, queue="stuck") is not None:
            assert time.monotonic() - began < 60
            assert "celery_events" in found
            found = scraped(monitor)
        # Those that its broker keeps from its work have failed by then; a scrape has not.
        assert value(found["celeriac_component_up"], "celeriac_component_up", component="database") == 1
        assert "celery_tasks" in found
    finally:
        broker.process.send_signal(signal.SIGCONT)
    eventually(lambda: value(scraped(monitor)[AGE], AGE, queue="stuck") is not None)


async def test_a_database_that_hangs_keeps_no_scrape_waiting(
    monitor: Monitor, app: Celery, database_url: str
) -> None:
    """Totals that can't be read stay as they were."""
    app.send_task("add", [1, 2], queue="told")

    def sent() -> float | None:
        found = scraped(monitor)["celery_tasks"]
        return value(found, "celery_tasks_total", queue="told", status="PENDING")

    await asyncio.to_thread(eventually, lambda: sent() == 1)
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE celery_event_totals IN ACCESS EXCLUSIVE MODE")
            scrape = asyncio.create_task(asyncio.to_thread(sent))
            await waiting_for_a_lock(database_url, "celery_event_totals")
            assert await scrape == 1
            assert await asyncio.to_thread(sent) == 1
    finally:
        await connection.close()


def test_the_systems_components_and_calls_are_there_too(monitor: Monitor) -> None:
    def known() -> dict[str, Metric] | None:
        found = scraped(monitor)
        family = found["celeriac_component_up"]
        return found if value(family, "celeriac_component_up", component="database") == 1 else None

    found = eventually(known)
    assert value(found["celeriac_component_up"], "celeriac_component_up", component="scheduler") == 0
    assert "celeriac_rpc_calls" in found
    assert "process_resident_memory_bytes" in found


def test_a_thousand_of_all_names_and_strange_ones_do_not_make_a_thousand_labels(
    monitor: Monitor, broker: Valkey
) -> None:
    """Label explosion: celery-exporter #157, #280."""
    strange = ['say "hi"\n\\', "佇列", "a,b={}"]
    before = value(scraped(monitor)["celery_events"], "celery_events_total") or 0
    with redis.Redis(broker.host, broker.port) as client:
        for number, name in enumerate([*strange, *(f"name-{number}" for number in range(1000))]):
            life = Life(time.time(), queue=name, name=name, hostname=f"{name}@host")
            failing = Life(time.time(), queue=name, name=name, hostname=f"{name}@host")
            failure = failing.failed(f"Error{number}('no')")
            client.publish(CHANNEL, event_message([*life.whole(), failing.received(), failure]))
            client.sadd(f"_kombu.binding.{name}", f"{name}\x06\x16\x06\x16{name}")

    def all_in() -> bool:
        counted = value(scraped(monitor)["celery_events"], "celery_events_total") or 0
        return counted >= before + 6 * 1003

    eventually(all_in)
    found = scraped(monitor)

    def shown(family: str, label: str) -> set[str]:
        return {each.labels[label] for each in found[family].samples if label in each.labels}

    tasks = found["celery_tasks"]
    assert len(shown("celery_tasks", "queue")) <= 202
    assert {*strange, "other"} <= shown("celery_tasks", "queue")
    assert value(tasks, "celery_tasks_total", queue="other", status="SUCCESS") == pytest.approx(800, abs=10)
    by_name = found["celery_tasks_by_name"].samples
    assert len({(each.labels["name"], each.labels["queue"]) for each in by_name}) <= 702
    assert {*strange, "other"} <= shown("celery_tasks_by_name", "name")
    assert len(shown("celery_tasks_by_name", "name")) <= 202
    assert sum(each.value for each in by_name if each.labels["status"] == "SUCCESS") >= 1003
    assert len(found["celery_task_failures"].samples) <= 1202
    assert sum(each.value for each in found["celery_task_failures"].samples) >= 1003
    assert len(shown("celery_task_queue_wait_seconds", "queue")) <= 202
    assert len(shown("celery_worker_up", "worker")) <= 200
    assert len(shown("celeriac_monitor_worker_tries", "worker")) <= 200
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
