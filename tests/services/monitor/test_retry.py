"""Retries of tasks of real workers: where their arguments come from, and that each task is retried once."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2
from celery import Celery
from redis import Redis

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually, fields_at_fault, reason_of
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.schedulers import Scheduler, running_scheduler
from tests.support.schedules import CRONTAB, create, schedule_of
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

# Nobody consumes it: what is sent to it can be read from the broker.
ASIDE = "queues/aside"
SECRET = {"password": "hunter2"}


@pytest.fixture(scope="module")
def scheduler(
    certificates: Path, tokens: LocalIssuer, database_url: str, broker: Valkey
) -> Iterator[Scheduler]:
    with running_scheduler(certificates, tokens, database_url, broker) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def monitor_settings(broker: Valkey, scheduler: Scheduler) -> Mapping[str, str]:
    return {
        "CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1",
        "CELERIAC_SCHEDULER_ADDRESS": scheduler.process.address,
    }


@pytest.fixture(scope="module", autouse=True)
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """It stores no arguments with results."""
    with running_worker(broker, tmp_path_factory.mktemp("worker"), concurrency=2) as worker:
        monitor.await_worker(worker.name)
        yield worker


@pytest.fixture(scope="module")
def extended(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The queue of a worker that stores them."""
    folder = tmp_path_factory.mktemp("extended")
    with running_worker(broker, folder, name="extended@test", queues="extended", extended=True) as worker:
        monitor.await_worker(worker.name)
        yield "extended"


@pytest.fixture
def aside(broker: Valkey) -> Iterator[Any]:
    """The messages on the queue that nobody consumes, oldest first."""
    client = Redis(broker.host, broker.port)

    def messages() -> list[tuple[dict[str, Any], list[Any]]]:
        found = []
        for raw in reversed(client.lrange("aside", 0, -1)):
            message = json.loads(raw)
            found.append((message, json.loads(base64.b64decode(message["body"]))))
        return found

    yield messages
    client.delete("aside")
    client.close()


def got(monitor: Monitor, name: str) -> pb.Task:
    task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=name)).task
    return task


def ended(monitor: Monitor, name: str, state: pb.TaskState | int = pb.TASK_STATE_FAILURE) -> str:
    """Waits until the task has ended, and returns its name."""

    def there() -> bool:
        try:
            return got(monitor, name).state == state
        except grpc.RpcError:
            return False

    eventually(there)
    return name


def failed(monitor: Monitor, app: Celery, message: str = "once") -> str:
    return ended(monitor, f"tasks/{app.send_task('fail', [message]).id}")


def retry(monitor: Monitor, name: str, **how: Any) -> pb.RetryTaskResponse:
    answer: pb.RetryTaskResponse = monitor.tasks.RetryTask(pb.RetryTaskRequest(name=name, **how))
    return answer


def refusal(monitor: Monitor, name: str, **how: Any) -> tuple[str, str]:
    """The reason and the text of a refusal."""
    with pytest.raises(grpc.RpcError) as caught:
        retry(monitor, name, **how)
    error: Any = caught.value
    return reason_of(error), error.details()


def test_a_retry_runs_with_the_same_arguments_and_each_task_shows_the_other(
    monitor: Monitor, app: Celery
) -> None:
    name = failed(monitor, app, "again")
    answer = retry(monitor, name)
    assert answer.source == pb.ARGUMENT_SOURCE_EVENT
    new = got(monitor, ended(monitor, answer.task))
    assert (new.task_name, new.args, new.queue) == ("fail", "('again',)", "queues/celery")
    assert (new.retry_of, new.retried_as, new.root) == (name, "", name)
    assert (got(monitor, name).retried_as, got(monitor, name).retry_of) == (new.name, "")
    # The retry is a task like any other.
    assert retry(monitor, new.name, validate_only=True).task == ""


def test_the_message_of_a_retry_names_the_task_and_its_workflow(
    monitor: Monitor, app: Celery, aside: Any
) -> None:
    sent = app.send_task("fail", ["mine"], root_id="the-root", parent_id="the-parent", group_id="the-group")
    name = ended(monitor, f"tasks/{sent.id}")
    new = retry(monitor, name, queue=ASIDE, priority=3).task
    assert aside() == []  # of priority 3: another list
    retry(monitor, ended(monitor, f"tasks/{app.send_task('fail', ['mine']).id}"), queue=ASIDE)
    ((message, body),) = aside()
    headers = message["headers"]
    assert body[:2] == [["mine"], {}]
    assert headers["celeriac_retry_of"] == headers["root_id"] != headers["id"]
    assert headers["origin"] == "celeriac@monitor"
    new_task = eventually(lambda: got(monitor, new))
    assert (new_task.root, new_task.parent) == ("tasks/the-root", "tasks/the-parent")
    assert new_task.group_id == ""


def test_arguments_with_secrets_come_from_the_stored_result_and_are_refused_without_it(
    monitor: Monitor, app: Celery, extended: str, aside: Any
) -> None:
    kept, lost = (
        ended(monitor, f"tasks/{app.send_task('echo', kwargs=SECRET, queue=queue).id}", pb.TASK_STATE_SUCCESS)
        for queue in (extended, "celery")
    )
    assert "hunter2" not in got(monitor, kept).kwargs
    answer = retry(monitor, kept, queue=ASIDE)
    assert answer.source == pb.ARGUMENT_SOURCE_RESULT
    ((_, body),) = aside()
    assert body[:2] == [[], SECRET]

    reason, text = refusal(monitor, lost, queue=ASIDE)
    assert reason == "ARGUMENTS_UNKNOWN"
    assert "result_extended=True" in text and "without secrets" in text
    assert len(aside()) == 1


def test_arguments_of_a_scheduled_task_come_from_its_schedule_until_that_is_changed(
    monitor: Monitor, scheduler: Scheduler, aside: Any
) -> None:
    wanted = schedule_of(CRONTAB)
    wanted.task.CopyFrom(
        schedules_pb2.TaskSpec(
            task_name="echo",
            kwargs_json=json.dumps(SECRET),
            headers={"tenant": "a"},
            time_limit={"seconds": 60},
        )
    )
    schedule = create(scheduler.schedules, wanted).name

    def run() -> str:
        request = schedules_pb2.TriggerScheduleRequest(name=schedule)
        return ended(monitor, scheduler.schedules.TriggerSchedule(request).run.task, pb.TASK_STATE_SUCCESS)

    first, second = run(), run()
    assert retry(monitor, first, queue=ASIDE).source == pb.ARGUMENT_SOURCE_SCHEDULE
    ((message, body),) = aside()
    assert body[:2] == [[], SECRET]
    assert (message["headers"]["tenant"], message["headers"]["timelimit"]) == ("a", [60.0, None])

    scheduler.schedules.PauseSchedule(schedules_pb2.PauseScheduleRequest(name=schedule))
    assert refusal(monitor, second)[0] == "ARGUMENTS_UNKNOWN"


def test_a_task_is_retried_once_and_a_repeated_request_gets_the_same_retry(
    monitor: Monitor, app: Celery, aside: Any, database_url: str
) -> None:
    name, how = failed(monitor, app), {"queue": ASIDE, "request_id": "r-1"}
    assert retry(monitor, name, queue=ASIDE, validate_only=True).task == ""
    assert aside() == []
    first = retry(monitor, name, **how)
    assert retry(monitor, name, **how) == first
    reason, text = refusal(monitor, name, queue=ASIDE)
    assert reason == "TASK_RETRIED" and first.task in text
    assert refusal(monitor, name, queue=ASIDE, request_id="r-2")[0] == "TASK_RETRIED"
    other = pb.RetryTaskRequest(name=name, queue="queues/other", request_id="r-1")
    assert fields_at_fault(monitor.tasks.RetryTask, other) == ["request_id"]
    # The monitor was killed after it had sent the message, and before it had recorded that.
    unrecord = "UPDATE celery_sent_tasks SET state = 'waiting', source = NULL WHERE task_id = $1 RETURNING 1"
    assert fetch_sync(database_url, unrecord, first.task.removeprefix("tasks/"))
    assert retry(monitor, name, **how) == first
    assert len(aside()) == 1


def test_of_several_that_retry_a_task_at_once_one_does(monitor: Monitor, app: Celery, aside: Any) -> None:
    name = failed(monitor, app)
    request = pb.RetryTaskRequest(name=name, queue=ASIDE)
    calls = [monitor.tasks.begin("RetryTask", request) for _ in range(6)]
    answers = [call.result().task for call in calls if call.exception() is None]
    reasons = {reason_of(call.exception()) for call in calls if call.exception() is not None}
    assert len(set(answers)) == 1
    assert reasons <= {"TASK_RETRIED"}
    assert len(aside()) == 1


def test_a_task_that_has_not_ended_is_not_retried(monitor: Monitor, app: Celery) -> None:
    name = f"tasks/{app.send_task('sleep', [20]).id}"
    ended(monitor, name, pb.TASK_STATE_STARTED)
    assert refusal(monitor, name)[0] == "TASK_NOT_ENDED"
    reason, text = refusal(monitor, "tasks/never-heard-of")
    assert reason == "TASK_NOT_FOUND"
    assert "task_send_sent_event" in text and "PeekQueue" in text
    app.control.revoke(name.removeprefix("tasks/"), terminate=True)


def test_a_queue_that_is_none_is_told_and_the_task_can_be_retried_elsewhere(
    monitor: Monitor, app: Celery, broker: Valkey, aside: Any
) -> None:
    name = failed(monitor, app)
    with Redis(broker.host, broker.port) as client:
        client.set("no-queue", "a text")
    assert refusal(monitor, name, queue="queues/no-queue")[0] == "QUEUE_REFUSED"
    assert got(monitor, name).retried_as == ""
    assert retry(monitor, name, queue=ASIDE).task
    assert len(aside()) == 1


def test_nothing_is_sent_to_the_books_of_the_broker_or_to_a_mailbox(
    monitor: Monitor, app: Celery, broker: Valkey
) -> None:
    name = failed(monitor, app)
    for queue in ("unacked_mutex", "w@host.celery.pidbox", "celeryev", "celeriac:x", "celery\x06\x169"):
        retried = pb.RetryTaskRequest(name=name, queue=f"queues/{queue}")
        assert fields_at_fault(monitor.tasks.RetryTask, retried) == ["queue"], queue
        run = pb.RunTaskRequest(task_name="add", queue=f"queues/{queue}")
        assert fields_at_fault(monitor.tasks.RunTask, run) == ["queue"], queue
    with Redis(broker.host, broker.port) as client:
        assert not client.exists("unacked_mutex", "w@host.celery.pidbox", "celeryev")
    assert got(monitor, name).retried_as == ""


def test_everything_that_is_wrong_with_a_retry_is_told(monitor: Monitor) -> None:
    request = pb.RetryTaskRequest(name="add", queue="celery", priority=10, request_id="\0")
    assert fields_at_fault(monitor.tasks.RetryTask, request) == ["name", "queue", "priority", "request_id"]


def test_arguments_of_an_orphan_come_from_a_worker_that_is_back_and_holds_it(
    monitor: Monitor, app: Celery, database_url: str
) -> None:
    task_id = str(app.send_task("sleep", [20], priority=6).id)
    ended(monitor, f"tasks/{task_id}", pb.TASK_STATE_STARTED)
    # As it is written when the worker of a task is gone; its next event has not come yet.
    orphan = """
        UPDATE celery_task_results_ext SET vanished_at = now(), vanished_as = 'ORPHANED', args = '(20...,)'
        WHERE id = $1 RETURNING state
    """
    assert fetch_sync(database_url, orphan, task_id)[0]["state"] == "ORPHANED"
    checked = retry(monitor, f"tasks/{task_id}", validate_only=True)
    assert checked.source == pb.ARGUMENT_SOURCE_WORKER
    app.control.revoke(task_id, terminate=True)
