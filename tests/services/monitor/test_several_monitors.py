"""Two monitors on one database and one stream: whatever happens to either, each event is counted once."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from celeriac.monitor.v1 import monitoring_pb2, tasks_pb2, workers_pb2

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.event_streams import publish_events
from tests.support.events import CHANNEL, Life, event_message, heartbeat
from tests.support.metrics import scraped
from tests.support.monitors import Monitor, running_monitor
from tests.support.ports import free_port
from tests.support.processes import environment_of
from tests.support.relays import running_relay
from tests.support.servers import Valkey, temporary_valkey

# Of four events each.
TASKS = 500
ENDED = [tasks_pb2.TASK_STATE_SUCCESS]


@pytest.fixture(scope="module")
def store() -> Iterator[Valkey]:
    """The server of the stream: not the broker."""
    with temporary_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def monitors(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey, store: Valkey
) -> Iterator[tuple[Monitor, Monitor]]:
    """Two monitors that hear by one relay."""
    url = f"redis://{store.host}:{store.port}/0"
    environment = environment_of("monitor", certificates, database_url, broker, CELERIAC_RELAY_URL=url)
    with ExitStack() as opened:
        opened.enter_context(running_relay(environment, free_port()))
        one, two = (
            opened.enter_context(
                running_monitor(certificates, tokens, database_url, broker, CELERIAC_RELAY_URL=url)
            )
            for _ in range(2)
        )
        for each in (one, two):
            eventually(lambda each=each: figures(each)["celery_event_stream_up"] == 1)
        yield one, two


def figures(monitor: Monitor) -> dict[str, float]:
    """What the monitor tells Prometheus, by name and labels."""
    lines = scraped(monitor.metrics_port).splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def never_falls(name: str) -> bool:
    """Whether it counts what all monitors have done; of one process are those that begin otherwise."""
    return name.startswith("celery_") and name.partition("{")[0].endswith(("_total", "_bucket", "_sum"))


class Scraper:
    """Reads two monitors in turn, and notes what was less than it had been, at either of them."""

    def __init__(self, monitors: tuple[Monitor, Monitor]) -> None:
        self._monitors = monitors
        self._most: dict[str, float] = {}
        self._ended = threading.Event()
        self.fell: list[tuple[str, float, float]] = []
        self.looks: Counter[int] = Counter()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            for number, monitor in enumerate(self._monitors):
                try:
                    found = figures(monitor)
                except OSError:
                    continue  # it was killed, or stands still
                self.looks[number] += 1
                gone = {name for name in self._most if never_falls(name)} - found.keys()
                self.fell += [(name, self._most[name], 0) for name in gone]
                for name, value in found.items():
                    if never_falls(name):
                        if value < self._most.get(name, 0):
                            self.fell.append((name, self._most[name], value))
                        self._most[name] = max(value, self._most.get(name, 0))

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def publish(broker: Valkey, name: str, count: int = TASKS, midst: Callable[[], None] = lambda: None) -> None:
    """Tasks from their sending to their success, in a second or so, each with a worker's beat."""
    with redis.Redis(broker.host, broker.port) as client:
        for number in range(count):
            if number == count // 2:
                midst()
            client.publish(CHANNEL, event_message(Life(time.time() - 1, name=name, queue=name).whole()))
            client.publish(CHANNEL, event_message(heartbeat(time.time(), 0)))


def counted(monitor: Monitor, queue: str) -> dict[str, float]:
    """How many tasks of the queue came into each state."""
    begin = f'celery_tasks_total{{queue="{queue}",status="'
    return {
        name.removeprefix(begin).rstrip('"}'): value
        for name, value in figures(monitor).items()
        # Ends that no task came to are told as 0.
        if name.startswith(begin) and value
    }


def stored(monitor: Monitor, name: str) -> int:
    """How many tasks of the name have succeeded, by the rows in the database."""
    request = tasks_pb2.ListTasksRequest(task_names=[name], states=ENDED, page_size=1000)
    ids: set[str] = set()
    while True:
        answer = monitor.tasks.ListTasks(request)
        ids.update(task.name for task in answer.tasks)
        if not answer.next_page_token:
            return len(ids)
        request.page_token = answer.next_page_token


def is_right(monitor: Monitor, name: str, count: int = TASKS) -> bool:
    states = ("PENDING", "RECEIVED", "STARTED", "SUCCESS")
    return counted(monitor, name) == dict.fromkeys(states, float(count)) and stored(monitor, name) == count


def writers(monitors: tuple[Monitor, Monitor]) -> list[Monitor]:
    return [each for each in monitors if figures(each)["celeriac_monitor_writes"] == 1]


def writer_and_other(monitors: tuple[Monitor, Monitor]) -> tuple[Monitor, Monitor]:
    (writer,) = eventually(lambda: writers(monitors))
    return writer, next(each for each in monitors if each is not writer)


def signalled(monitor: Monitor, number: signal.Signals) -> None:
    assert monitor.process.process is not None
    monitor.process.process.send_signal(number)


def events_total(monitor: Monitor) -> int:
    request = monitoring_pb2.GetRealtimeMetricsRequest()
    total: int = monitor.monitoring.GetRealtimeMetrics(request).metrics.events_total
    return total


# The first one: while a gap is open that a killed monitor has left, no task is taken for orphaned.
def test_a_worker_that_is_deleted_at_one_monitor_is_forgotten_at_both(
    monitors: tuple[Monitor, Monitor], broker: Valkey
) -> None:
    """So its task is orphaned, which only the one that writes can find."""
    _, other = writer_and_other(monitors)
    life = Life(time.time() - 60, hostname="deleted@test")
    publish_events(broker, [life.received(), life.started()])
    with redis.Redis(broker.host, broker.port) as client:
        beat = heartbeat(time.time(), 1, hostname="deleted@test")
        client.publish(CHANNEL, event_message({**beat, "freq": 1.0}))
    name, everyone = "workers/deleted@test~7", workers_pb2.ListWorkersRequest()

    def states(each: Monitor) -> list[workers_pb2.WorkerState]:
        return [it.state for it in each.workers.ListWorkers(everyone).workers if it.name == name]

    for each in monitors:
        eventually(lambda each=each: states(each) == [workers_pb2.WORKER_STATE_SILENT])
    other.workers.DeleteWorker(workers_pb2.DeleteWorkerRequest(name=name))
    for each in monitors:
        eventually(lambda each=each: states(each) == [])
    task = tasks_pb2.GetTaskRequest(name=f"tasks/{life.id}")
    for each in monitors:
        eventually(
            lambda each=each: each.tasks.GetTask(task).task.state == tasks_pb2.TASK_STATE_ORPHANED, 60.0
        )


def test_one_of_two_writes_and_both_show_the_same_totals(
    monitors: tuple[Monitor, Monitor], broker: Valkey
) -> None:
    before = events_total(monitors[0])
    publish(broker, "both", 100)
    for each in monitors:
        eventually(lambda each=each: is_right(each, "both", 100))
        eventually(lambda each=each: events_total(each) == before + 500)
        duration = figures(each)['celery_task_duration_seconds_count{queue="both"}']
        assert duration == 100
    assert len(writers(monitors)) == 1


def test_a_writer_that_is_killed_in_the_midst_leaves_each_event_counted_once(
    monitors: tuple[Monitor, Monitor], broker: Valkey
) -> None:
    writer, other = writer_and_other(monitors)
    scraper = Scraper(monitors)
    before = events_total(other)
    with scraper.running():
        publish(broker, "killed", midst=writer.process.kill)
        eventually(lambda: is_right(other, "killed"))
        writer.process.start()
        eventually(lambda: is_right(writer, "killed"))
        eventually(lambda: events_total(writer) == before + 5 * TASKS)
        seen = scraper.looks[0]
        eventually(lambda: scraper.looks[0] > seen + 1)
    assert scraper.fell == []
    assert figures(other)["celery_event_messages_missing_total"] == 0


def test_a_writer_that_stood_still_for_longer_than_its_lease_writes_no_more(
    monitors: tuple[Monitor, Monitor], broker: Valkey
) -> None:
    writer, other = writer_and_other(monitors)
    scraper = Scraper((other, other))
    before = events_total(other)
    try:
        with scraper.running():
            publish(broker, "stood", midst=lambda: signalled(writer, signal.SIGSTOP))
            eventually(lambda: is_right(other, "stood"))
            assert figures(other)["celeriac_monitor_writes"] == 1
            signalled(writer, signal.SIGCONT)
            publish(broker, "after", 100)
            for each in monitors:
                eventually(lambda each=each: is_right(each, "after", 100))
                assert is_right(each, "stood")
                assert figures(each)["celery_events_total"] == before + 5 * TASKS + 500
    finally:
        signalled(writer, signal.SIGCONT)
    assert scraper.fell == []
    assert figures(writer)["celery_event_messages_missing_total"] == 0


def test_totals_go_on_where_they_were_when_all_monitors_were_stopped(
    monitors: tuple[Monitor, Monitor], broker: Valkey
) -> None:
    publish(broker, "all", 100)
    eventually(lambda: is_right(monitors[0], "all", 100))
    before = figures(monitors[0])
    for each in monitors:
        assert each.process.stop() == 0
    publish(broker, "meanwhile", 100)
    monitors[1].process.start()
    after = figures(monitors[1])
    assert {name: after[name] for name in before if never_falls(name) and after[name] < before[name]} == {}
    eventually(lambda: is_right(monitors[1], "meanwhile", 100))
    monitors[0].process.start()
    eventually(lambda: is_right(monitors[0], "meanwhile", 100))
    assert counted(monitors[0], "all")["SUCCESS"] == 100
