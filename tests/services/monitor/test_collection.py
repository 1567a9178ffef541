"""Start and Stop: events of tasks are passed over until somebody starts their collection again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import system_pb2, tasks_pb2
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey

SUCCESS = tasks_pb2.TASK_STATE_SUCCESS
STOPPED = system_pb2.EVENT_GAP_CAUSE_COLLECTION_STOPPED


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), name="collected@test") as running:
        monitor.await_worker("collected@test")
        yield running


def states(monitor: Monitor) -> dict[str, int]:
    answer = monitor.tasks.ListTasks(tasks_pb2.ListTasksRequest(page_size=1000))
    return {task.name.removeprefix("tasks/"): task.state for task in answer.tasks}


def events(monitor: Monitor) -> system_pb2.Component:
    answer = monitor.system.GetStatus(system_pb2.GetStatusRequest())
    components: dict[str, system_pb2.Component] = {each.component: each for each in answer.components}
    return components["events"]


def gaps(monitor: Monitor) -> list[system_pb2.EventGap]:
    answer = monitor.system.ListEventGaps(system_pb2.ListEventGapsRequest())
    return [gap for gap in answer.gaps if gap.cause == STOPPED]


def ran(app: Celery, count: int = 1) -> list[str]:
    """Tasks that have ended, by what the result backend stores."""
    results = [app.send_task("add", (1, 2)) for _ in range(count)]
    for result in results:
        result.get(timeout=60)
    return [str(result.id) for result in results]


def started_heard(monitor: Monitor) -> int:
    return monitor.online("collected@test")[0].started_heard


def test_what_happens_while_collection_is_stopped_is_passed_over_and_looked_up_after_its_start(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    [before] = ran(app)
    eventually(lambda: states(monitor).get(before) == SUCCESS)
    heard = started_heard(monitor)

    stopped = monitor.monitoring.Stop(pb.StopRequest()).collection
    assert not stopped.running and stopped.stopped_by == "mei" and stopped.HasField("stop_time")
    meanwhile = ran(app, 5)
    # Workers are heard all the same: a heartbeat that counts the tasks has come.
    eventually(lambda: monitor.online("collected@test")[0].processed >= 6)
    assert started_heard(monitor) == heard
    assert not set(meanwhile) & states(monitor).keys()
    told = eventually(lambda: "STOPPED by mei since" in events(monitor).detail and events(monitor))
    assert told.health == system_pb2.HEALTH_HEALTHY
    again = monitor.monitoring.Stop(pb.StopRequest()).collection
    assert again == stopped, "to stop twice changes nothing"
    assert gaps(monitor) == []

    assert monitor.monitoring.Start(pb.StartRequest()).collection.running

    def repaired() -> system_pb2.EventGap | None:
        found = gaps(monitor)
        return found[0] if found and found[0].state == system_pb2.EVENT_GAP_STATE_REPAIRED else None

    gap = eventually(repaired, 60)
    assert gap.start_time == stopped.stop_time and gap.end_time.ToMicroseconds() > 0
    assert gap.repaired_from_results_count == 5
    assert {states(monitor).get(each) for each in meanwhile} == {SUCCESS}
    [after] = ran(app)
    eventually(lambda: states(monitor).get(after) == SUCCESS)
    # A worker's count of what it ran meanwhile is no loss: two heartbeats after the start tell its counts.
    processed = monitor.online("collected@test")[0].processed
    ran(app)
    eventually(lambda: monitor.online("collected@test")[0].processed > processed)
    assert monitor.online("collected@test")[0].events_lost == 0
    assert monitor.monitoring.Start(pb.StartRequest()).collection.running, "to start twice changes nothing"
    assert len(gaps(monitor)) == 1


def test_a_stop_is_remembered_over_a_restart_of_the_monitor_and_holds_at_every_monitor(
    monitor: Monitor,
    worker: Worker,
    app: Celery,
    broker: Valkey,
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
) -> None:
    known = len(gaps(monitor))
    with running_monitor(certificates, tokens, database_url, broker) as other:
        monitor.monitoring.Stop(pb.StopRequest())
        eventually(lambda: "STOPPED by mei" in events(other).detail)
    with running_monitor(certificates, tokens, database_url, broker) as restarted:
        eventually(lambda: "STOPPED by mei" in events(restarted).detail)
        [meanwhile] = ran(app)
        assert meanwhile not in states(restarted)
        # Started at one that does not write: the one that writes records the gap.
        restarted.monitoring.Start(pb.StartRequest())
        eventually(lambda: len(gaps(restarted)) == known + 1)
        eventually(lambda: states(restarted).get(meanwhile) == SUCCESS, 60)
        eventually(lambda: "STOPPED" not in events(monitor).detail)
