"""Secrets in tasks are replaced before anything is stored, and so nobody sees, finds or counts them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import grpc
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc, tasks_pb2, tasks_pb2_grpc
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually
from tests.support.celery_workers import running_worker
from tests.support.event_streams import Reader, publish_events, watching
from tests.support.events import Life
from tests.support.metrics import scraped
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, temporary_valkey
from tests.support.sql import fetch_sync

CARD = "4111 1111 1111 1111"
ROWS = "SELECT string_agg(t::text, E'\\n') AS rows FROM celery_task_results_ext t"


def get(monitor: Monitor, task_id: str, state: int) -> tasks_pb2.Task:
    def reached() -> tasks_pb2.Task | None:
        try:
            task: tasks_pb2.Task = monitor.tasks.GetTask(
                tasks_pb2.GetTaskRequest(name=f"tasks/{task_id}")
            ).task
        except grpc.RpcError:
            return None
        return task if task.state == state else None

    found: tasks_pb2.Task = eventually(reached)
    return found


def found_by(caller: Caller, text: str) -> set[str]:
    request = tasks_pb2.ListTasksRequest(text=text)
    return {task.name.removeprefix("tasks/") for task in caller.ListTasks(request).tasks}


def test_no_secret_of_a_task_is_stored_shown_found_or_logged(
    monitor: Monitor, broker: Valkey, app: Celery, database_url: str, tmp_path: Path
) -> None:
    """Secrets in arguments on the screen: flower #231."""
    secret = f"hunter2-{uuid.uuid4().hex}"
    with watching(monitor) as reader, running_worker(broker, tmp_path, name="secretive@test") as worker:
        monitor.await_worker(worker.name)
        arguments = ["plain", {"card": CARD, "n": 17}]
        told = app.send_task("echo", arguments, {"api_key": secret, "options": {"dbPassword": secret}}).id
        failed = app.send_task("fail", [f"refused: token={secret}, user=mei"]).id
        done = get(monitor, told, tasks_pb2.TASK_STATE_SUCCESS)
        wrong = get(monitor, failed, tasks_pb2.TASK_STATE_FAILURE)
        eventually(lambda: {done.state, wrong.state} <= {task.state for task in reader.tasks()})
    assert done.args == "['plain', {'card': '[redacted]', 'n': 17}]"
    assert done.kwargs == "{'api_key': '[redacted]', 'options': {'dbPassword': '[redacted]'}}"
    assert done.result.count("[redacted]") == 3
    assert wrong.exception == "ValueError('refused: token=[redacted], user=mei')"
    assert wrong.traceback.endswith("ValueError: refused: token=[redacted], user=mei\n")
    assert found_by(monitor.tasks, "plain") == {told}
    assert found_by(monitor.tasks, "user=mei") == {failed}
    for text in (secret, secret[:10], CARD, CARD[-9:]):
        assert found_by(monitor.tasks, text) == set()
    (row,) = fetch_sync(database_url, ROWS)
    for place in (row["rows"], *map(str, reader.seen), scraped(monitor.metrics_port), monitor.process.log()):
        assert secret[:10] not in place
        assert CARD not in place


def test_what_is_secret_is_up_to_the_rules_of_the_operator(
    certificates: Path, tokens: LocalIssuer, own_database_url: str
) -> None:
    settings = {
        "CELERIAC_MONITOR_REDACT": "iban, account_number",
        "CELERIAC_MONITOR_REDACT_EXCEPT": "sort_key",
        "CELERIAC_MONITOR_ARGUMENTS_READABLE_FROM": "viewer",
    }
    with (
        temporary_valkey() as broker,
        running_monitor(certificates, tokens, own_database_url, broker, **settings) as monitor,
    ):
        viewer = Caller(tasks_pb2_grpc.TaskServiceStub(monitor.channel), tokens.mint("viewer"))
        watcher = Reader(
            monitoring_pb2_grpc.MonitoringServiceStub(monitor.channel).WatchEvents(
                monitoring_pb2.WatchEventsRequest(),
                credentials=grpc.access_token_call_credentials(tokens.mint("viewer")),
            )
        )
        eventually(watcher.metrics)
        life = Life(time.time())
        shown = "{'accountNumber': '[redacted]', 'sort_key': 'b', 'key': '[redacted]'}"
        publish_events(broker, life.succeeded("{'accountNumber': 'a', 'sort_key': 'b', 'key': 'c'}"))
        eventually(lambda: found_by(viewer, "sort_key") == {life.id})
        request = tasks_pb2.GetTaskRequest(name=f"tasks/{life.id}")
        assert viewer.GetTask(request).task.result == shown
        assert [task.result for task in watcher.tasks() if task.name.endswith(life.id)] == [shown]
        watcher.end()


def test_arguments_and_results_may_be_kept_not_at_all(
    certificates: Path, tokens: LocalIssuer, own_database_url: str
) -> None:
    setting = {"CELERIAC_MONITOR_ARGUMENTS": "none"}
    with (
        temporary_valkey() as broker,
        running_monitor(certificates, tokens, own_database_url, broker, **setting) as monitor,
    ):
        life = Life(time.time(), name="only-here")
        publish_events(broker, life.whole())
        task = get(monitor, life.id, tasks_pb2.TASK_STATE_SUCCESS)
        assert (task.args, task.kwargs, task.result) == ("[not kept]",) * 3


def test_a_viewer_sees_no_arguments_in_a_list_a_task_or_a_stream(
    monitor: Monitor, broker: Valkey, tokens: LocalIssuer
) -> None:
    viewer = Caller(tasks_pb2_grpc.TaskServiceStub(monitor.channel), tokens.mint("viewer"))
    monitor_as_viewer = Monitor(monitor.process, monitor.channel, tokens.mint("viewer"), monitor.metrics_port)
    with watching(monitor_as_viewer) as reader:
        life = Life(time.time(), name="unseen")
        publish_events(broker, life.whole())
        get(monitor, life.id, tasks_pb2.TASK_STATE_SUCCESS)
        listed = viewer.ListTasks(tasks_pb2.ListTasksRequest(task_names=["unseen"])).tasks
        one = viewer.GetTask(tasks_pb2.GetTaskRequest(name=f"tasks/{life.id}")).task
        eventually(lambda: any(task.result for task in reader.tasks()))
    for task in (*listed, one, *reader.tasks()):
        assert {task.args, task.kwargs, task.result} <= {"[redacted]", ""}
