"""Gaps of the events, under real workers: each is a record, and afterwards every task is as it really is."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import system_pb2, tasks_pb2
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import all_listed, eventually, fields_at_fault
from tests.support.celery_workers import Worker, celery_app, running_worker
from tests.support.events import CHANNEL, Life, event_message, heartbeat
from tests.support.metrics import scraped_value
from tests.support.monitors import Monitor, running_monitor
from tests.support.ports import free_port
from tests.support.processes import environment_of
from tests.support.relays import RelayProcess, running_relay
from tests.support.servers import Valkey, temporary_valkey
from tests.support.sql import fetch_sync

WORKER = "plain@gaps"
OPEN, REPAIRED = system_pb2.EVENT_GAP_STATE_OPEN, system_pb2.EVENT_GAP_STATE_REPAIRED
SUCCESS, FAILURE = tasks_pb2.TASK_STATE_SUCCESS, tasks_pb2.TASK_STATE_FAILURE
STARTED, RECEIVED = tasks_pb2.TASK_STATE_STARTED, tasks_pb2.TASK_STATE_RECEIVED
PENDING, ENDED = tasks_pb2.TASK_STATE_PENDING, tasks_pb2.TASK_STATE_ENDED
UNKNOWN: Any = 99

TAKEN_FOR_ENDED = """
    INSERT INTO celery_task_results_ext (id, task, started_at, vanished_at, heard_at, updated_at, worker_at)
    VALUES ($1, 'add', $2, $2, $2, $2, $2)
"""

Starts = Callable[..., Monitor]


@pytest.fixture
def app(broker: Valkey, database_url: str) -> Iterator[Celery]:
    """On a broker and a database without anything of the test before."""
    broker.flush()
    fetch_sync(database_url, "TRUNCATE celery_task_results_ext, celery_event_gaps, celery_event_listeners")
    app = celery_app(broker.host, broker.port)
    yield app
    app.close()


@pytest.fixture
def relay(certificates: Path, database_url: str, broker: Valkey, app: Celery) -> Iterator[RelayProcess]:
    environment = environment_of("monitor", certificates, database_url, broker, **relayed(broker))
    with running_relay(environment, free_port()) as relay:
        yield relay


@pytest.fixture
def worker(broker: Valkey, app: Celery, tmp_path: Path) -> Iterator[Worker]:
    with running_worker(broker, tmp_path, name=WORKER, concurrency=2) as worker:
        yield worker
        # Nobody waits for the tasks that it still has.
        worker.kill()


@pytest.fixture
def start(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey, app: Celery
) -> Iterator[Starts]:
    """Starts a monitor, which then knows the worker."""
    with ExitStack() as running:

        def start(**settings: str) -> Monitor:
            monitor = running.enter_context(
                running_monitor(certificates, tokens, database_url, broker, **settings)
            )
            monitor.await_worker(WORKER)
            return monitor

        yield start


def relayed(broker: Valkey) -> dict[str, str]:
    """The stream is on the broker's server, in a database of its own."""
    return {"CELERIAC_RELAY_URL": f"redis://{broker.host}:{broker.port}/5"}


def send(app: Celery, task: str, *args: Any, **options: Any) -> str:
    return str(app.send_task(task, args=args, **options).id)


def task_of(monitor: Monitor, task_id: str) -> tasks_pb2.Task | None:
    try:
        found: tasks_pb2.Task = monitor.tasks.GetTask(tasks_pb2.GetTaskRequest(name=f"tasks/{task_id}")).task
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return None
    return found


def state_of(monitor: Monitor, task_id: str) -> int | None:
    found = task_of(monitor, task_id)
    return None if found is None else found.state


def await_state(monitor: Monitor, task_id: str, state: int) -> tasks_pb2.Task:
    def reached() -> tasks_pb2.Task | None:
        found = task_of(monitor, task_id)
        return found if found is not None and found.state == state else None

    found: tasks_pb2.Task = eventually(reached)
    return found


def gaps_of(monitor: Monitor) -> list[system_pb2.EventGap]:
    return all_listed(monitor.system.ListEventGaps, system_pb2.ListEventGapsRequest(page_size=2), "gaps")


def newest(monitor: Monitor, cause: int) -> system_pb2.EventGap | None:
    return next((gap for gap in gaps_of(monitor) if gap.cause == cause), None)


def await_repaired(monitor: Monitor, cause: int) -> system_pb2.EventGap:
    def repaired() -> system_pb2.EventGap | None:
        gap = newest(monitor, cause)
        return gap if gap is not None and gap.state == REPAIRED else None

    gap: system_pb2.EventGap = eventually(repaired, 60)
    return gap


def events_component(monitor: Monitor) -> system_pb2.Component:
    answer: system_pb2.GetStatusResponse = monitor.system.GetStatus(system_pb2.GetStatusRequest())
    return next(each for each in answer.components if each.component == "events")


def await_healthy(monitor: Monitor) -> None:
    eventually(lambda: events_component(monitor).health == system_pb2.HEALTH_HEALTHY)


def runs(app: Celery, task_id: str) -> bool:
    active = app.control.inspect(timeout=1).active() or {}
    return any(task["id"] == task_id for tasks in active.values() for task in tasks)


def ended(app: Celery, task_ids: Sequence[str]) -> bool:
    return all(app.AsyncResult(task_id).ready() for task_id in task_ids)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The task `hold` runs until this file is there."""
    return tmp_path / "gate"


def leave_a_gap(app: Celery, before: Sequence[str]) -> tuple[list[str], str]:
    """What goes on while nobody hears events: tasks come and end, and one goes on running afterwards."""
    within = [send(app, "add", number, 1) for number in range(20)] + [send(app, "fail", "in the gap")]
    eventually(lambda: ended(app, [*before, *within]))
    goes_on = send(app, "sleep", 60.0)
    eventually(lambda: runs(app, goes_on))
    return within, goes_on


def test_after_the_relay_was_killed_each_task_is_as_the_backend_and_workers_have_it(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts, gate: Path
) -> None:
    """No task is stuck in received or started after a gap: flower #1428, #869, #322."""
    monitor = start(**relayed(broker))
    without_result = send(app, "hold", str(gate), ignore_result=True)
    stored = send(app, "hold", str(gate))
    await_state(monitor, without_result, STARTED)
    await_state(monitor, stored, STARTED)
    waiting = send(app, "add", 1, 1, queue="nobody reads this")
    await_state(monitor, waiting, PENDING)
    relay.kill()
    gate.touch()
    eventually(lambda: not runs(app, without_result))
    within, goes_on = leave_a_gap(app, [stored])
    relay.start()
    gap = await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)

    assert {state_of(monitor, task_id) for task_id in [stored, *within[:-1]]} == {SUCCESS}
    failed = task_of(monitor, within[-1])
    assert failed is not None
    assert (failed.state, failed.exception) == (FAILURE, "ValueError('in the gap')")
    assert "in fail\n" in failed.traceback
    told = task_of(monitor, stored)
    assert told is not None and (told.result, told.task_name) == ("'let go'", "hold")
    assert told.end_time.ToDatetime(dt.UTC) == app.AsyncResult(stored).date_done
    running = await_state(monitor, goes_on, STARTED)
    assert (running.task_name, running.worker) == ("sleep", monitor.online(WORKER)[0].name)
    assert state_of(monitor, waiting) == PENDING
    lost = task_of(monitor, without_result)
    assert lost is not None
    assert (lost.state, lost.HasField("end_time")) == (ENDED, False)

    # The loops `unheard_ends` and `stored_ends`, which look at tasks that are shown as started, may have come
    # first to the two that were heard of.
    assert gap.repaired_from_results_count in (len(within), 1 + len(within))
    assert gap.not_repairable_count <= 1
    assert (gap.repaired_from_workers_count, gap.undecided_count) == (1, 0)
    assert (gap.results_read, gap.note) == (True, "")
    assert gap.start_time.ToNanoseconds() < gap.end_time.ToNanoseconds() <= gap.repair_time.ToNanoseconds()
    await_healthy(monitor)

    def figures() -> dict[str, float]:
        names = ("gaps_total", "gaps_open", "gap_tasks_not_repairable_total")
        return {name: scraped_value(monitor.metrics_port, f"celery_event_{name}") for name in names}

    # Totals are told as they are stored.
    eventually(
        lambda: (
            figures()
            == {
                "gaps_total": 1,
                "gaps_open": 0,
                "gap_tasks_not_repairable_total": gap.not_repairable_count,
            }
        )
    )


def test_a_gap_is_open_while_a_worker_does_not_answer_and_the_component_says_why(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts
) -> None:
    monitor = start(**relayed(broker))
    await_healthy(monitor)
    task_id = send(app, "sleep", 60.0, ignore_result=True)
    await_state(monitor, task_id, STARTED)
    relay.kill()
    os.killpg(worker.process.pid, signal.SIGSTOP)
    relay.start()

    def reason() -> str:
        component = events_component(monitor)
        return component.detail if component.health == system_pb2.HEALTH_DEGRADED else ""

    eventually(lambda: f"1 tasks are not known yet: no answer from {WORKER}" in reason())
    gap = newest(monitor, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)
    assert gap is not None and gap.state == OPEN and "(relay cut)" in reason()
    assert state_of(monitor, task_id) == STARTED
    os.killpg(worker.process.pid, signal.SIGCONT)
    await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)
    await_healthy(monitor)
    assert state_of(monitor, task_id) == STARTED, "the worker has it"


def test_without_a_backend_what_ended_is_not_known_and_the_record_says_so(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts, gate: Path
) -> None:
    monitor = start(**relayed(broker), CELERIAC_RESULT_URL="none")
    before = send(app, "hold", str(gate))
    await_state(monitor, before, STARTED)
    relay.kill()
    gate.touch()
    _, goes_on = leave_a_gap(app, [before])
    relay.start()
    gap = await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)
    assert (state_of(monitor, before), state_of(monitor, goes_on)) == (ENDED, STARTED)
    assert (gap.results_read, gap.repaired_from_results_count) == (False, 0)
    assert gap.note == "there is no result backend: what became of tasks is known from workers only"
    await_healthy(monitor)


def test_while_the_result_backend_is_away_the_gap_is_open_and_says_why(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts, gate: Path
) -> None:
    with temporary_valkey() as backend:
        url = f"redis://{backend.host}:{backend.port}/1"
        monitor = start(**relayed(broker), CELERIAC_RESULT_URL=url)
        task_id = send(app, "hold", str(gate), ignore_result=True)
        await_state(monitor, task_id, STARTED)
        backend.stop()
        relay.kill()
        gate.touch()
        eventually(lambda: not runs(app, task_id))
        relay.start()
        eventually(lambda: "can't be looked up: " in events_component(monitor).detail)
        backend.start()
        gap = await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)
    assert (gap.note, state_of(monitor, task_id)) == ("", ENDED)
    await_healthy(monitor)


def test_of_a_task_that_was_taken_for_ended_a_stored_end_is_found_at_the_next_gap(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts, database_url: str
) -> None:
    monitor = start(**relayed(broker))
    task_id, done = str(uuid.uuid4()), dt.datetime.now(dt.UTC)
    fetch_sync(database_url, TAKEN_FOR_ENDED, task_id, done - dt.timedelta(seconds=5))
    stored = {"status": "SUCCESS", "result": 9, "traceback": None, "date_done": done.isoformat()}
    with redis.Redis(broker.host, broker.port, db=1) as results:
        results.set(f"celery-task-meta-{task_id}", json.dumps(stored))
    assert state_of(monitor, task_id) == ENDED
    relay.kill()
    relay.start()
    await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)
    told = task_of(monitor, task_id)
    assert told is not None and (told.state, told.result) == (SUCCESS, "9")


def test_a_monitor_without_a_relay_repairs_what_it_missed_while_it_was_stopped(
    app: Celery, worker: Worker, start: Starts, gate: Path
) -> None:
    monitor = start()
    before = send(app, "hold", str(gate))
    await_state(monitor, before, STARTED)
    monitor.process.kill()
    gate.touch()
    within, goes_on = leave_a_gap(app, [before])
    monitor.process.start()
    gap = await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_MONITOR_STOPPED)
    assert {state_of(monitor, task_id) for task_id in [before, *within[:-1]]} == {SUCCESS}
    assert (state_of(monitor, within[-1]), state_of(monitor, goes_on)) == (FAILURE, STARTED)
    assert (gap.repaired_from_results_count, gap.not_repairable_count) == (1 + len(within), 0)
    await_healthy(monitor)


def test_a_cut_subscription_is_one_gap(app: Celery, broker: Valkey, worker: Worker, start: Starts) -> None:
    monitor = start()
    with redis.Redis(broker.host, broker.port) as client:
        own = [each for each in client.client_list(_type="pubsub") if each["name"] == "celeriac-monitor"]
        for each in own:
            client.client_kill_filter(_id=each["id"])
    await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_SUBSCRIPTION_CUT)
    known = send(app, "add", 1, 2)
    await_state(monitor, known, SUCCESS)
    await_healthy(monitor)


def test_what_a_worker_has_started_and_nobody_heard_of_is_a_gap(
    broker: Valkey, worker: Worker, start: Starts
) -> None:
    monitor = start()
    begin = time.time() - 10
    life = Life(begin + 1, hostname="counts@host")
    first, *beats = [
        heartbeat(begin + 4 * beat, processed, hostname="counts@host")
        for beat, processed in enumerate([0, 5, 5])
    ]
    farewell = heartbeat(begin + 9, 5, "worker-offline", hostname="counts@host")
    with redis.Redis(broker.host, broker.port) as client:
        for event in (first, life.started(), life.succeeded(), *beats, farewell):
            client.publish(CHANNEL, event_message(event))
    gap = await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_WORKER_COUNT)
    assert gap.missed_count == 4
    await_healthy(monitor)


def test_a_stream_that_lost_what_it_kept_while_no_monitor_read_is_a_gap(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts, gate: Path
) -> None:
    monitor = start(**relayed(broker))
    before = send(app, "hold", str(gate))
    await_state(monitor, before, STARTED)
    monitor.process.kill()
    relay.kill()
    gate.touch()
    eventually(lambda: ended(app, [before]))
    with redis.Redis(broker.host, broker.port, db=5) as stream:
        stream.flushdb()
    relay.start()
    monitor.process.start()
    await_repaired(monitor, system_pb2.EVENT_GAP_CAUSE_STREAM_LOST)
    assert state_of(monitor, before) == SUCCESS


def test_a_monitor_that_starts_beside_another_has_missed_nothing(
    app: Celery, worker: Worker, start: Starts
) -> None:
    one = start()
    await_healthy(one)
    two = start()
    task_id = send(app, "add", 1, 2)
    await_state(two, task_id, SUCCESS)
    two.process.kill()
    two.process.start()
    again = send(app, "add", 1, 2)
    await_state(one, again, SUCCESS)
    await_healthy(two)
    assert gaps_of(one) == []


def test_two_monitors_and_a_restart_make_one_record_of_one_gap(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts
) -> None:
    one, two = start(**relayed(broker)), start(**relayed(broker))
    relay.kill()
    relay.start()
    eventually(lambda: gaps_of(one))
    one.process.kill()
    one.process.start()
    await_repaired(two, system_pb2.EVENT_GAP_CAUSE_RELAY_CUT)
    for monitor in (one, two):
        task_id = send(app, "add", 2, 3)
        await_state(monitor, task_id, SUCCESS)
    assert [(gap.cause, gap.state) for gap in gaps_of(one)] == [
        (system_pb2.EVENT_GAP_CAUSE_RELAY_CUT, REPAIRED)
    ]


def test_gaps_are_listed_by_state_and_a_state_that_is_none_is_refused(worker: Worker, start: Starts) -> None:
    monitor = start()
    request = system_pb2.ListEventGapsRequest(states=[OPEN])
    eventually(lambda: not monitor.system.ListEventGaps(request).gaps)
    listed = monitor.system.ListEventGaps(system_pb2.ListEventGapsRequest(states=[REPAIRED])).gaps
    assert all(gap.state == REPAIRED for gap in listed)
    wrong = system_pb2.ListEventGapsRequest(states=[UNKNOWN])
    assert fields_at_fault(monitor.system.ListEventGaps, wrong) == ["states[0]"]


@pytest.mark.soak
def test_under_200_tasks_a_second_no_task_stays_unknown_or_stuck_after_kills(
    app: Celery, broker: Valkey, relay: RelayProcess, worker: Worker, start: Starts
) -> None:
    """Tasks run from before the first kill until after the last one."""
    monitor = start(**relayed(broker))
    sent: list[str] = []
    stop = threading.Event()

    def go_on() -> None:
        calls: Sequence[tuple[str, Any]] = [("add", (1, 2)), ("fail", ("no",)), ("sleep", (0.01,))]
        begin = time.monotonic()
        while not stop.wait(max(0.0, begin + len(sent) / 200 - time.monotonic())):
            task, args = calls[len(sent) % len(calls)]
            sent.append(send(app, task, *args))

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(go_on)
        for count in (400, 1_200, 2_000):
            eventually(lambda least=count: len(sent) > least)
            relay.kill()
            eventually(lambda least=count + 200: len(sent) > least)
            relay.start()
            monitor.process.kill()
            eventually(lambda least=count + 400: len(sent) > least)
            monitor.process.start()
        stop.set()
        sending.result(60)
    eventually(lambda: ended(app, sent[-200:]), 120)
    wanted = {task_id: app.AsyncResult(task_id).state for task_id in sent}
    assert set(wanted.values()) == {"SUCCESS", "FAILURE"}

    def wrong() -> dict[str, str]:
        found: dict[str, str] = {}
        for at in range(0, len(sent), 500):
            names = [f"tasks/{task_id}" for task_id in sent[at : at + 500]]
            answer = monitor.tasks.BatchGetTasks(tasks_pb2.BatchGetTasksRequest(names=names))
            for task in answer.tasks:
                found[task.name.removeprefix("tasks/")] = tasks_pb2.TaskState.Name(task.state)
        return {
            task_id: found.get(task_id, "unknown")
            for task_id, state in wanted.items()
            if found.get(task_id) != f"TASK_STATE_{state}"
        }

    eventually(lambda: not wrong())
    await_healthy(monitor)
    assert len([gap for gap in gaps_of(monitor) if gap.cause == system_pb2.EVENT_GAP_CAUSE_RELAY_CUT]) == 3
