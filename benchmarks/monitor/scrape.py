"""A scrape of a large system: 200 queues, 200 names of tasks, 50 workers.

    make bench AREA=monitor.scrape

A real monitor has heard of tasks of 500 kinds (name and queue), each of which came into four states, of 500
types of exceptions, and of 50 workers. Its endpoint is scraped over HTTP, by one connection after the other;
the time is the client's, the CPU that of the monitor's process. Once more (`scrape_changed`) with tasks of
all kinds that ended since the scrape before, so that all totals are read and all histograms told anew. The
peer is prometheus_client's own rendering of the same samples, without HTTP and without finding their values.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from benchmarks.processes import usage_of
from benchmarks.report import Measure, quick, report
from benchmarks.servers import temporary_postgres, temporary_valkey
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from services.kernel.migrations import migrate
from tests.support.events import CHANNEL, Life, event_message, heartbeat
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, create_database

QUEUES, NAMES, WORKERS, KINDS = 200, 200, 50, 500
SCRAPES = 20 if quick() else 100
MOST_SECONDS = 0.015
PATIENCE_SECONDS = 60.0
# Runtimes of tasks, over all buckets.
RUNTIMES = (0.001, 0.007, 0.02, 0.04, 0.08, 0.2, 0.4, 0.8, 2, 4, 8, 20, 50, 200, 500, 1500, 3000)


def publish(broker: Valkey) -> None:
    now = time.time() - 60
    with redis.Redis(broker.host, broker.port) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(WORKERS):
            beat = heartbeat(time.time(), 10, hostname=f"celery@worker-{number}")
            pipeline.publish(CHANNEL, event_message(beat))
        for number in range(QUEUES):
            queue = f"queue-{number}"
            pipeline.sadd(f"_kombu.binding.{queue}", f"{queue}\x06\x16\x06\x16{queue}")
            pipeline.lpush(queue, "{}")
        for number in range(KINDS):
            for runtime in RUNTIMES:
                life = life_of(number, now)
                events = [life.sent(), life.received(), life.started(), life.succeeded(runtime=runtime)]
                pipeline.publish(CHANNEL, event_message(events))
            failing = life_of(number, now)
            failure = failing.failed(f"Error{number}('no')")
            pipeline.publish(CHANNEL, event_message([failing.received(), failing.started(), failure]))
        pipeline.execute()


def publish_ends(broker: Valkey) -> None:
    """Publishes one more success of each kind, by which every histogram of kinds and queues changes."""
    now = time.time()
    with redis.Redis(broker.host, broker.port) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(KINDS):
            life = life_of(number, now)
            ended = [life.sent(), life.received(), life.started(), life.succeeded(runtime=0.3)]
            pipeline.publish(CHANNEL, event_message(ended))
        pipeline.execute()


def life_of(number: int, now: float) -> Life:
    turn, which = divmod(number, NAMES)
    name, queue = f"shop.tasks.job_{which}", f"queue-{(which + 50 * turn) % QUEUES}"
    return Life(now, name=name, queue=queue, hostname=f"celery@worker-{number % WORKERS}")


def scrape(monitor: Monitor) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor.metrics_port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit("the monitor does not tell what was published")
        time.sleep(0.5)


def timed(act: Callable[[], object], times: int) -> float:
    """Returns the median seconds."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def after_ends(monitor: Monitor, broker: Valkey) -> float:
    """Returns the seconds of the first scrape after tasks of all kinds have ended, and were counted."""
    publish_ends(broker)
    # A writer adds to the totals each second.
    time.sleep(2.5)
    return timed(lambda: scrape(monitor), 1)


class Same(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def main() -> None:
    with ExitStack() as opened:
        broker = opened.enter_context(temporary_valkey())
        postgres = opened.enter_context(temporary_postgres())
        state = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-bench-")))
        database_url = asyncio.run(create_database(postgres))
        asyncio.run(migrate(database_url, "monitor"))
        ensure_certificates(state)
        issuer = LocalIssuer(state)
        issuer.ensure_key()
        monitor = opened.enter_context(running_monitor(state, issuer, database_url, broker))
        until(lambda: "celery_event_stream_up 1.0" in scrape(monitor))
        publish(broker)
        until(lambda: scrape(monitor).count("celery_queue_length{") == QUEUES)
        until(lambda: scrape(monitor).count("celery_task_failures_total{") == KINDS)
        tell(monitor, broker)


def tell(monitor: Monitor, broker: Valkey) -> None:
    text = scrape(monitor)
    samples = sum(not line.startswith("#") for line in text.splitlines())
    registry = CollectorRegistry()
    registry.register(Same(list(text_string_to_metric_families(text))))
    process = monitor.process.process
    assert process is not None
    idle = usage_of(process.pid).cpu
    time.sleep(SCRAPES * 0.05)
    idle = (usage_of(process.pid).cpu - idle) / (SCRAPES * 0.05)
    before, began = usage_of(process.pid).cpu, time.monotonic()
    ours = timed(lambda: scrape(monitor), SCRAPES)
    cpu = (usage_of(process.pid).cpu - before - idle * (time.monotonic() - began)) / SCRAPES
    changed = statistics.median(after_ends(monitor, broker) for _ in range(SCRAPES // 4))
    peer = timed(lambda: generate_latest(registry), SCRAPES // 5)
    goal = f"less than {MOST_SECONDS * 1000:.0f} ms"
    report(
        [
            Measure("scrape", ours * 1e3, "ms", peer * 1e3, peer / ours, goal, ours < MOST_SECONDS),
            Measure("scrape_changed", changed * 1e3, "ms", peer * 1e3, peer / changed),
            Measure("scrape_cpu", cpu * 1e3, "ms", peer * 1e3, peer / cpu),
            Measure("samples", samples, "lines"),
            Measure("size", len(text) / 1e3, "kB"),
        ]
    )


if __name__ == "__main__":
    main()
