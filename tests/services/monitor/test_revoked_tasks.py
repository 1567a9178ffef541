"""What is revoked while workers are away is told to those that come, and so is never run."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis
from celeriac.monitor.v1 import tasks_pb2 as pb
from celery import Celery

from deploy.standalone.tokens import LocalIssuer
from services.kernel.database import Database
from services.kernel.sessions import opened_sessions
from services.monitor.workers.store_revoked_tasks import RevokedTask, RevokedTaskStore
from tests.support.calls import eventually, refused
from tests.support.celery_workers import celery_app, running_worker
from tests.support.events import event_message
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey, temporary_valkey
from tests.support.sql import fetch_sync

NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)


def command(body: Any) -> str:
    """As kombu would publish it."""
    message = event_message(body)
    return message.decode().replace("celeryev", "celery.pidbox")


def hello(exchange: Any, routing_key: Any, ticket: Any = "a") -> str:
    reply_to = {"exchange": exchange, "routing_key": routing_key}
    return command({"method": "hello", "reply_to": reply_to, "ticket": ticket})


REPLIES = "reply.celery.pidbox"
NO_NAMES: list[Any] = [None, {}, [], 5]
# What a worker that starts would not send.
ODD_COMMANDS = [
    *("", "no JSON", "[]", "5", "{}", '{"body": 5}', '{"body": "x", "properties": {}}', command({})[:-9]),
    *map(command, ({}, {"method": "hello"}, {"method": "hello", "reply_to": 5}, {"method": 7})),
    *(hello(name, "celery") for name in (*NO_NAMES, "", "celery")),
    *(hello(REPLIES, key) for key in (*NO_NAMES, "", "celery")),
    *(hello(REPLIES, "celery", ticket) for ticket in NO_NAMES),
    hello(REPLIES, "celery").replace("application/json", "application/x-python-serialize"),
    hello(REPLIES, "celery").replace("base64", "none"),
]


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_MONITOR_CONTROL_TIMEOUT": "1"}


def revoke_while_nobody_is_there(monitor: Monitor, task_id: str) -> None:
    def nobody() -> bool:
        code, message = refused(monitor.tasks.RevokeTask, pb.RevokeTaskRequest(name=f"tasks/{task_id}"))
        return code is grpc.StatusCode.UNAVAILABLE and "one that comes is told" in message

    eventually(nobody)


def await_end(monitor: Monitor, task_id: str) -> pb.Task:
    def ended() -> pb.Task | None:
        try:
            task: pb.Task = monitor.tasks.GetTask(pb.GetTaskRequest(name=f"tasks/{task_id}")).task
        except grpc.RpcError:
            return None
        return task if task.HasField("end_time") else None

    found: pb.Task = eventually(ended)
    return found


def test_even_the_next_task_of_the_queue_is_not_run_by_a_worker_that_starts_after_the_revocation(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    """A revocation lost while workers are away: django-celery-results #423."""
    revoked, other = (app.send_task("echo", [number], queue="greeted").id for number in range(2))
    revoke_while_nobody_is_there(monitor, revoked)
    with redis.Redis(broker.host, broker.port) as client:
        for odd in ODD_COMMANDS:
            # Until the monitor hears it, which is soon again after one that it could not read.
            eventually(lambda odd=odd: client.publish("/0.celery.pidbox", odd) > 0)
        eventually(lambda: client.publish("/0.celery.pidbox", command({"method": "ping"})) > 0)
    with running_worker(broker, tmp_path, name="greeted@test", queues="greeted", mingle=True) as worker:
        assert await_end(monitor, other).state == pb.TASK_STATE_SUCCESS
        seen = await_end(monitor, revoked)
        assert seen.state == pb.TASK_STATE_REVOKED
        assert not seen.HasField("started_time")
        assert worker.log().count("mingle: sync with 1 nodes") == 1
        assert f"{revoked}] succeeded" not in worker.log()


def test_a_monitor_that_starts_later_tells_it_to_a_worker_that_does_not_ask(
    app: Celery,
    broker: Valkey,
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
    monitor_settings: Mapping[str, str],
    tmp_path: Path,
) -> None:
    """It takes the first task before anybody can tell it anything, and is told while that runs."""
    with running_monitor(certificates, tokens, database_url, broker, **monitor_settings) as before:
        first = app.send_task("sleep", [3], queue="told").id
        waiting, later = (
            app.send_task("echo", [1], queue="told").id,
            app.send_task("echo", [2], queue="told").id,
        )
        eta = app.send_task("echo", [3], queue="told", countdown=3).id
        for task_id in (waiting, eta):
            revoke_while_nobody_is_there(before, task_id)
    with (
        running_monitor(certificates, tokens, database_url, broker, **monitor_settings) as monitor,
        running_worker(broker, tmp_path, name="told@test", queues="told"),
    ):
        assert await_end(monitor, later).state == pb.TASK_STATE_SUCCESS
        assert await_end(monitor, first).state == pb.TASK_STATE_SUCCESS
        for task_id in (waiting, eta):
            seen = await_end(monitor, task_id)
            assert seen.state == pb.TASK_STATE_REVOKED
            assert not seen.HasField("started_time")


def test_a_task_that_is_to_be_killed_is_killed_also_by_a_worker_that_has_just_begun_it(
    monitor: Monitor, app: Celery, broker: Valkey, tmp_path: Path
) -> None:
    running = app.send_task("sleep", [600], queue="killed").id
    request = pb.RevokeTaskRequest(name=f"tasks/{running}", terminate=True, signal="SIGKILL")
    eventually(lambda: refused(monitor.tasks.RevokeTask, request)[0] is grpc.StatusCode.UNAVAILABLE)
    with running_worker(broker, tmp_path, name="killed@test", queues="killed"):
        assert await_end(monitor, running).state == pb.TASK_STATE_REVOKED


def test_a_worker_that_was_there_is_told_later_what_was_revoked_while_the_broker_was_away(
    certificates: Path,
    tokens: LocalIssuer,
    own_database_url: str,
    monitor_settings: Mapping[str, str],
    tmp_path: Path,
) -> None:
    with (
        temporary_valkey() as broker,
        running_monitor(certificates, tokens, own_database_url, broker, **monitor_settings) as monitor,
        running_worker(broker, tmp_path, name="there@test") as worker,
    ):
        monitor.await_worker(worker.name)
        broker.stop()
        code, message = refused(monitor.tasks.RevokeTask, pb.RevokeTaskRequest(name="tasks/meanwhile"))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "broker" in message
        broker.start()
        eventually(lambda: "meanwhile" in worker.log(), 60)
        app = celery_app(broker.host, broker.port)
        app.send_task("echo", task_id="meanwhile")
        seen = await_end(monitor, "meanwhile")
        app.close()
        assert seen.state == pb.TASK_STATE_REVOKED
        assert not seen.HasField("started_time")


def test_what_has_ended_is_forgotten_and_what_may_still_come_is_kept(database_url: str) -> None:
    fetch_sync(
        database_url,
        "INSERT INTO celery_task_results_ext (id, heard_at, updated_at, received_at, succeeded_at) VALUES"
        " ('r-ended', now(), now(), now(), now()), ('r-received', now(), now(), now(), NULL)",
    )

    async def held() -> list[list[RevokedTask]]:
        database, found = Database(database_url), []
        try:
            async with opened_sessions(database) as sessions:
                for moment in (NOW, NOW + WEEK):
                    async with sessions.transaction() as session:
                        store = RevokedTaskStore(session)
                        if moment == NOW:
                            for task_id in ("r-ended", "r-received", "r-unknown"):
                                await store.remember(RevokedTask(task_id, False, "SIGTERM"), NOW, NOW + WEEK)
                            killed = RevokedTask("r-unknown", True, "SIGKILL")
                            await store.remember(killed, NOW, NOW + 2 * WEEK)
                            await store.remember(RevokedTask("r-unknown", False, "SIGTERM"), NOW, NOW + WEEK)
                        rows = await store.that_hold(moment)
                        found.append([row for row in rows if row.task_id.startswith("r-")])
        finally:
            await database.close()
        return found

    now, later = asyncio.run(held())
    assert {row.task_id for row in now} == {"r-received", "r-unknown"}
    assert later == [RevokedTask("r-unknown", True, "SIGKILL")], "what was said first is not taken back"
    left = fetch_sync(database_url, "SELECT task_id FROM celery_revoked_tasks WHERE task_id LIKE 'r-%'")
    assert [row["task_id"] for row in left] == ["r-unknown"]
