"""Queues that are paused and resumed, with real workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import alerts_pb2, tasks_pb2, workers_pb2
from celeriac.monitor.v1 import queues_pb2 as pb
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually, fields_at_fault, reason_of
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey

DONE, SILENT = tasks_pb2.WORKER_OUTCOME_DONE, tasks_pb2.WORKER_OUTCOME_NO_ANSWER


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_PACE": "0.1"}


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running_worker(broker, tmp_path_factory.mktemp("worker"), queues="mail") as worker:
        eventually(lambda: consumers(monitor, "mail") == [worker.name])
        yield worker


@pytest.fixture
def client(broker: Valkey) -> Iterator[Any]:
    with redis.Redis(broker.host, broker.port) as client:
        yield client


def queue(monitor: Monitor, name: str) -> pb.Queue:
    found: pb.Queue = monitor.queues.GetQueue(pb.GetQueueRequest(name=f"queues/{name}")).queue
    return found


def consumers(monitor: Monitor, name: str) -> list[str]:
    """The hostnames of the queue's workers; none as long as not all have told theirs."""
    try:
        found = queue(monitor, name)
    except grpc.RpcError:
        return []
    names = [each.removeprefix("workers/").partition("~")[0] for each in found.consumers]
    return names if found.HasField("consumer_count") and found.consumer_count == len(names) else []


def pause(monitor: Monitor, name: str, **how: Any) -> pb.PauseQueueResponse:
    answer: pb.PauseQueueResponse = monitor.queues.PauseQueue(
        pb.PauseQueueRequest(name=f"queues/{name}", **how)
    )
    return answer


def resume(monitor: Monitor, name: str, **how: Any) -> list[tasks_pb2.WorkerReply]:
    return list(monitor.queues.ResumeQueue(pb.ResumeQueueRequest(name=f"queues/{name}", **how)).replies)


def outcomes(replies: Any) -> dict[str, int]:
    return {reply.worker.removeprefix("workers/").partition("~")[0]: reply.outcome for reply in replies}


def state(monitor: Monitor, task_id: str) -> int:
    try:
        task = monitor.tasks.GetTask(tasks_pb2.GetTaskRequest(name=f"tasks/{task_id}")).task
    except grpc.RpcError:
        return 0
    return int(task.state)


def test_a_worker_takes_nothing_of_a_paused_queue_and_all_of_it_once_it_is_resumed(
    monitor: Monitor, worker: Worker, app: Celery, client: Any
) -> None:
    would = pause(monitor, "mail", validate_only=True)
    assert list(outcomes(would.replies)) == [worker.name] and not would.HasField("pause")
    assert consumers(monitor, "mail") == [worker.name]

    paused = pause(monitor, "mail", reason="the mail server is away")
    assert outcomes(paused.replies) == {worker.name: DONE}
    assert (paused.pause.subject, paused.pause.reason) == ("mei", "the mail server is away")
    assert queue(monitor, "mail").pause == paused.pause
    eventually(lambda: queue(monitor, "mail").consumer_count == 0)

    sent = [app.send_task("add", [1, 2], queue="mail", priority=priority).id for priority in (0, 3, 9)]
    # It is alive, and answers, though it has no other queue.
    assert app.control.ping(destination=[worker.name], timeout=10, limit=1)
    eventually(lambda: queue(monitor, "mail").length == 3)
    assert client.hlen("unacked") == 0
    assert pause(monitor, "mail", reason="another").pause == paused.pause, "an older pause stays"

    assert list(outcomes(resume(monitor, "mail", validate_only=True))) == [worker.name]
    assert outcomes(resume(monitor, "mail")) == {worker.name: DONE}
    eventually(lambda: all(state(monitor, task) == tasks_pb2.TASK_STATE_SUCCESS for task in sent))
    assert not queue(monitor, "mail").HasField("pause")
    eventually(lambda: consumers(monitor, "mail") == [worker.name])
    with pytest.raises(grpc.RpcError) as failure:
        resume(monitor, "mail")
    assert reason_of(failure.value) == "QUEUE_NOT_PAUSED"
    assert "what a drain or a shutdown holds, Resume or Start of the system ends" in str(failure.value)


def test_messages_of_a_paused_queue_are_not_taken_for_some_that_nobody_reads(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    rule = alerts_pb2.AlertRule(
        name="alertRules/unread",
        measure="queue_unread_length",
        comparison=alerts_pb2.ALERT_COMPARISON_ABOVE,
        severity=alerts_pb2.ALERT_SEVERITY_CRITICAL,
    )
    pause(monitor, "mail")
    eventually(lambda: queue(monitor, "mail").consumer_count == 0)
    for name in ("mail", "nobodys"):
        app.send_task("add", [1, 2], queue=name)
    monitor.alerts.CreateAlertRule(alerts_pb2.CreateAlertRuleRequest(alert_rule=rule))
    request = alerts_pb2.ListAlertsRequest(rules=[rule.name])

    def fire_for() -> list[str]:
        return [alert.subject for alert in monitor.alerts.ListAlerts(request).alerts]

    eventually(lambda: "nobodys" in fire_for())
    # Raised by the same reading, or by none.
    assert fire_for() == ["nobodys"]
    monitor.alerts.DeleteAlertRule(alerts_pb2.DeleteAlertRuleRequest(name=rule.name))
    resume(monitor, "mail")
    eventually(lambda: consumers(monitor, "mail") == [worker.name])


def test_a_pause_outlives_the_monitor_and_is_told_to_a_worker_that_comes_later(
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
    broker: Valkey,
    app: Celery,
    client: Any,
    tmp_path: Path,
) -> None:
    client.sadd("_kombu.binding.later", "later\x06\x16\x06\x16later")
    with running_monitor(certificates, tokens, database_url, broker) as first:
        assert list(pause(first, "later").replies) == []
    with (
        running_monitor(certificates, tokens, database_url, broker, CELERIAC_PACE="0.1") as second,
        running_worker(broker, tmp_path, name="later@test", queues="later,other") as later,
    ):
        eventually(lambda: consumers(second, "other") == [later.name])
        eventually(lambda: consumers(second, "later") == [])
        eventually(lambda: "Canceling queue later" in later.log())
        waits = app.send_task("add", [1, 2], queue="later").id
        runs = app.send_task("add", [1, 2], queue="other").id
        eventually(lambda: state(second, runs) == tasks_pb2.TASK_STATE_SUCCESS)
        assert queue(second, "later").length == 1 and queue(second, "later").HasField("pause")
        assert outcomes(resume(second, "later")) == {later.name: DONE}
        eventually(lambda: state(second, waits) == tasks_pb2.TASK_STATE_SUCCESS)


def test_a_worker_that_does_not_answer_is_named_and_is_told_when_it_can_hear_again(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    """One of the pool `solo` hears no commands while it runs a task."""
    with running_worker(broker, tmp_path, name="solo@test", queues="solo", pool="solo") as solo:
        eventually(lambda: consumers(monitor, "solo") == [solo.name])
        busy = app.send_task("sleep", [8], queue="solo").id
        eventually(lambda: f"{busy}] received" in solo.log())
        assert outcomes(pause(monitor, "solo").replies) == {solo.name: SILENT}
        eventually(lambda: consumers(monitor, "solo") == [] and "Canceling queue solo" in solo.log(), 60)
        resume(monitor, "solo")


def test_a_queue_that_is_not_there_can_not_be_paused(monitor: Monitor) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        pause(monitor, "mial")
    assert reason_of(failure.value) == "QUEUE_NOT_FOUND"


def test_a_reason_that_is_too_long_is_refused(monitor: Monitor) -> None:
    request = pb.PauseQueueRequest(name="mail", reason="x" * 501)
    assert fields_at_fault(monitor.queues.PauseQueue, request) == ["name", "reason"]


def test_a_worker_is_not_told_to_consume_a_paused_queue(
    monitor: Monitor, worker: Worker, app: Celery
) -> None:
    pause(monitor, "mail")
    with pytest.raises(grpc.RpcError) as failure:
        monitor.workers.AddConsumer(workers_pb2.AddConsumerRequest(all=True, queue="queues/mail"))
    assert reason_of(failure.value) == "QUEUE_PAUSED"
    resume(monitor, "mail")
    eventually(lambda: consumers(monitor, "mail") == [worker.name])


def test_a_task_is_not_run_by_name_on_a_paused_queue(monitor: Monitor, worker: Worker) -> None:
    pause(monitor, "mail")
    for only_look in (True, False):
        with pytest.raises(grpc.RpcError) as failure:
            monitor.tasks.RunTask(
                tasks_pb2.RunTaskRequest(task_name="add", queue="queues/mail", validate_only=only_look)
            )
        assert reason_of(failure.value) == "QUEUE_PAUSED"
    resume(monitor, "mail")
    eventually(lambda: consumers(monitor, "mail") == [worker.name])
