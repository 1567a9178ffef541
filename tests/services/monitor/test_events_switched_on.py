"""Workers without -E are told to send events, and those that were switched off on purpose are left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celeriac.monitor.v1 import tasks_pb2, workers_pb2
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.celery_workers import Worker, celery_app, running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, temporary_valkey

ON, OFF = workers_pb2.TASK_EVENTS_ON, workers_pb2.TASK_EVENTS_OFF
TOLD = "Events of group {task} enabled by remote."


def await_events(monitor: Monitor, worker: Worker, state: int) -> workers_pb2.Worker:
    def reached() -> workers_pb2.Worker | None:
        found = monitor.online(worker.name)
        return found[0] if found and found[0].task_events == state else None

    seen: workers_pb2.Worker = eventually(reached)
    return seen


def await_task(monitor: Monitor, task_id: str) -> None:
    def succeeded() -> bool:
        request = tasks_pb2.BatchGetTasksRequest(names=[f"tasks/{task_id}"])
        tasks = monitor.tasks.BatchGetTasks(request).tasks
        return bool(tasks) and tasks[0].state == tasks_pb2.TASK_STATE_SUCCESS

    eventually(succeeded)


def answer_of(replies: list[dict[str, Any]] | None) -> Any:
    """What the only worker that was asked has answered."""
    assert replies is not None
    (reply,) = replies
    (answer,) = reply.values()
    return answer


def test_a_worker_without_events_is_told_to_send_them_and_none_counts_as_lost(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    with running_worker(broker, tmp_path, name="plain@off", queues="off", options=()) as worker:
        app.send_task("add", [1, 2], queue="off").get(timeout=30)
        eventually(lambda: TOLD in worker.log())
        seen = app.send_task("add", [3, 4], queue="off")
        await_task(monitor, seen.id)
        assert await_events(monitor, worker, ON).events_lost == 0


def test_a_worker_that_was_switched_off_on_purpose_is_left_alone_even_by_a_monitor_that_starts_later(
    monitor: Monitor,
    app: Celery,
    broker: Valkey,
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    with running_worker(broker, folders[0], name="switched@off", queues="switched", options=()) as worker:
        eventually(lambda: TOLD in worker.log())
        await_task(monitor, app.send_task("add", [1, 2], queue="switched").id)
        await_events(monitor, worker, ON)
        replies = app.control.disable_events(destination=[worker.name], reply=True)
        assert answer_of(replies) == {"ok": "task events disabled"}
        app.send_task("add", [3, 4], queue="switched").get(timeout=30)
        eventually(lambda: monitor.online(worker.name)[0].processed == 2)
        app.send_task("add", [5, 6], queue="switched").get(timeout=30)
        await_events(monitor, worker, OFF)
        with running_worker(broker, folders[1], name="second@off", queues="second", options=()) as second:
            eventually(lambda: TOLD in second.log())
        with running_monitor(certificates, tokens, database_url, broker) as later:
            eventually(lambda: any(each.pool for each in later.online(worker.name)))
            with running_worker(broker, folders[2], name="third@off", queues="third", options=()) as third:
                eventually(lambda: TOLD in third.log())
        assert worker.log().count(TOLD) == 1, "only before it was switched off"
        replies = app.control.enable_events(destination=[worker.name], reply=True)
        assert answer_of(replies) == {"ok": "task events enabled"}, "it was off until now"


def test_with_the_setting_off_nobody_is_told(
    certificates: Path, tokens: LocalIssuer, own_database_url: str, tmp_path: Path
) -> None:
    """On a broker of its own, where no other monitor is."""
    setting = {"CELERIAC_MONITOR_ENABLE_EVENTS": "false"}
    with (
        temporary_valkey() as broker,
        running_worker(broker, tmp_path, name="left@off", options=()) as worker,
        running_monitor(certificates, tokens, own_database_url, broker, **setting) as monitor,
    ):
        app = celery_app(broker.host, broker.port)
        eventually(lambda: any(each.pool for each in monitor.online(worker.name)))
        for number in range(2):
            app.send_task("add", [number, 1]).get(timeout=30)
        await_events(monitor, worker, OFF)
        assert TOLD not in worker.log()
        app.close()
