"""Arguments with secrets are kept encrypted where there are keys, and a retry is sent with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery
from redis import Redis

from services.kernel.sealing import KeyRing, add_key
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.redaction import SEALED, Arguments, Redaction
from services.monitor.tasks.sealed_arguments import ArgumentSeals
from tests.support.calls import eventually, reason_of
from tests.support.celery_workers import running_worker
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

PASSWORD = "hunter2-Zq81x"
WHOLE_ROW = "SELECT t::text, sealed_arguments FROM celery_task_results_ext t WHERE id = $1"


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "argument-keys.json"
    add_key(path)
    return path


@pytest.fixture(scope="module")
def monitor_settings(broker: Valkey, key_file: Path) -> Mapping[str, str]:
    return {
        "CELERIAC_RESULT_URL": f"redis://{broker.host}:{broker.port}/1",
        "CELERIAC_MONITOR_ARGUMENT_KEYS": str(key_file),
    }


@pytest.fixture(scope="module", autouse=True)
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """It stores no arguments with results."""
    with running_worker(broker, tmp_path_factory.mktemp("worker"), concurrency=2) as worker:
        monitor.await_worker(worker.name)
        yield


def ended(monitor: Monitor, task_id: str) -> pb.Task:
    def there() -> pb.Task | None:
        try:
            task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
        except grpc.RpcError:
            return None
        return task if task.state == pb.TASK_STATE_SUCCESS else None

    found: pb.Task = eventually(there)
    return found


def test_a_retry_has_the_true_arguments_which_nobody_reads_in_clear(
    monitor: Monitor, broker: Valkey, app: Celery, database_url: str
) -> None:
    task_id = str(app.send_task("echo", [1], {"password": PASSWORD}).id)
    task = ended(monitor, task_id)
    assert task.kwargs == "{'password': '[redacted]'}"
    ((row, sealed),) = fetch_sync(database_url, WHOLE_ROW, task_id)
    assert sealed and PASSWORD not in row
    retry = monitor.tasks.RetryTask(pb.RetryTaskRequest(name=f"tasks/{task_id}"))
    assert retry.source == pb.ARGUMENT_SOURCE_SEALED
    again = retry.task.removeprefix("tasks/")
    assert ended(monitor, again).kwargs == "{'password': '[redacted]'}"
    with Redis(broker.host, broker.port, 1) as backend:
        meta = json.loads(backend.get(f"celery-task-meta-{again}") or b"")
    assert meta["result"] == {"args": [1], "password": PASSWORD}


def test_a_sealed_text_that_was_moved_to_another_task_is_not_sent(
    monitor: Monitor, app: Celery, database_url: str
) -> None:
    one, other = (str(app.send_task("echo", [], {"token": f"{PASSWORD}{n}"}).id) for n in (1, 2))
    ended(monitor, one), ended(monitor, other)
    ((_, sealed),) = fetch_sync(database_url, WHOLE_ROW, one)
    change = "UPDATE celery_task_results_ext SET sealed_arguments = $2 WHERE id = $1 RETURNING id"
    fetch_sync(database_url, change, other, sealed)
    with pytest.raises(grpc.RpcError) as caught:
        monitor.tasks.RetryTask(pb.RetryTaskRequest(name=f"tasks/{other}"))
    assert reason_of(caught.value) == "ARGUMENTS_UNKNOWN"


def received(kwargs: str, **more: Any) -> dict[str, Any]:
    return {**Life(1_790_000_000.0, "t").received(), "kwargs": kwargs, **more}


def hear(record: TaskRecord, event: dict[str, Any], redaction: Redaction) -> None:
    redaction.event(event["type"], event)
    record.hear(event["type"], int(event["timestamp"] * 1e6), event)


def test_only_what_was_encrypted_here_is_believed(key_file: Path) -> None:
    seals, record = ArgumentSeals(KeyRing(key_file)), TaskRecord("t")
    hear(record, received("{'to': 'mei'}", **{SEALED: '{"key": "mine"}'}), Redaction(seal=seals.seal))
    assert (record.kwargs, record.sealed) == ("{'to': 'mei'}", None)


@pytest.mark.parametrize(
    "kwargs, more",
    [
        ("{'password': '" + PASSWORD + "', 'text': 'Once upon...'}", {}),
        ("{'password': '" + PASSWORD + "', 'text': '" + "x" * 8_000 + "'}", {}),
        ("{'password': '" + PASSWORD + "'}", {"arguments": Arguments.NONE}),
    ],
)
def test_what_could_not_be_sent_or_is_not_to_be_kept_is_not_sealed(
    key_file: Path, kwargs: str, more: Mapping[str, Any]
) -> None:
    seals, record = ArgumentSeals(KeyRing(key_file)), TaskRecord("t")
    hear(record, received(kwargs), Redaction(seal=seals.seal, **more))
    assert record.sealed is None and PASSWORD not in (record.kwargs or "")


def test_without_keys_nothing_is_sealed_until_there_are_some(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    seals = ArgumentSeals(KeyRing(path))
    assert seals.seal("t", "()", "{'password': 'x'}") is None
    add_key(path)
    sealed = seals.seal("t", "()", "{'password': 'x'}")
    assert sealed is not None and "password" not in sealed
    assert seals.open("t", json.loads(sealed)) == ("()", "{'password': 'x'}")
    assert seals.open("other", json.loads(sealed)) is None


def test_another_try_with_other_secrets_has_its_own(key_file: Path) -> None:
    """What is shown of both is the same."""
    seals, record = ArgumentSeals(KeyRing(key_file)), TaskRecord("t")
    redaction = Redaction(seal=seals.seal)
    for number, password in enumerate(("first", "second")):
        event = received(f"{{'password': '{password}'}}")
        hear(record, {**event, "timestamp": event["timestamp"] + number}, redaction)
        assert seals.open("t", json.loads(record.sealed or "")) == ("(0,)", f"{{'password': '{password}'}}")
