"""`make up` beside an application in production: on its broker and its PostgreSQL, and out of its way."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from celeriac.embedder.v1 import messages_pb2, messages_pb2_grpc
from celeriac.monitor.v1 import tasks_pb2, tasks_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc
from celery.result import AsyncResult

from tests.support.calls import eventually
from tests.support.celery_workers import celery_app, running_worker
from tests.support.foreign_servers import Foreign, foreign_servers
from tests.support.sql import fetch
from tests.support.system import System

pytestmark = pytest.mark.alone

# The names of Celeriac's own queues on a broker of its own, and Celery's default.
QUEUES = ("ai_analysis", "maintenance", "celery")
EACH = 20


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    with foreign_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def beside(foreign: Foreign, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system after its first start on these servers, while a worker of the application runs."""
    asyncio.run(foreign.make_login("CREATEDB CREATEROLE"))
    with ExitStack() as opened:
        folder = tmp_path_factory.mktemp("application")
        opened.enter_context(running_worker(foreign.broker, folder, queues=",".join(QUEUES)))
        state = opened.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-", dir="/tmp"))
        given = {"CELERIAC_BROKER_URL": foreign.make_broker_user(), "DATABASE_URL": foreign.login()}
        # Of the application: it must not lead our processes elsewhere.
        given["CELERY_BROKER_URL"] = "redis://127.0.0.1:1/0"
        system = System(Path(state) / "state", given=given)
        try:
            system.up()
            yield system
        finally:
            system.interrupt()


def test_it_uses_the_servers_that_it_was_given_and_says_so(beside: System, foreign: Foreign) -> None:
    record = json.loads((beside.state / "run/system.json").read_text())
    assert "postgres" not in record["processes"]
    assert not (beside.state / "postgres").exists()
    [line] = [line for line in beside.output.splitlines() if "no PostgreSQL is started" in line]
    assert f"broker 127.0.0.1:{foreign.broker.port}/0 (CELERIAC_BROKER_URL)" in line
    assert "so the Valkey that is started keeps the relay's events only" in line


def test_the_relay_keeps_events_in_the_systems_own_valkey_which_keeps_nothing_else(
    beside: System, foreign: Foreign
) -> None:
    with redis.Redis(foreign.broker.host, foreign.broker.port, decode_responses=True) as client:
        assert not [key for key in client.scan_iter() if client.type(key) == "stream"]
    with redis.Redis.from_url(beside.valkey_url(0), decode_responses=True) as client:
        kept = {name: value["keys"] for name, value in client.info("keyspace").items()}
    assert kept.keys() == {"db2"}


def test_the_status_is_right_in_a_shell_without_the_variables(beside: System) -> None:
    shown = beside.run("status")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "worker-analysis" in shown.stdout and "postgres" not in shown.stdout.split("Queues")[0]


def test_the_acl_user_of_the_page_was_refused_nothing(beside: System, foreign: Foreign) -> None:
    assert beside.run("status").returncode == 0
    with redis.Redis(foreign.broker.host, foreign.broker.port, decode_responses=True) as client:
        assert client.execute_command("ACL", "LOG") == []


async def test_the_services_work_in_a_database_of_their_own_in_roles_with_passwords(
    beside: System, foreign: Foreign
) -> None:
    [tables] = await fetch(foreign.database_url, "SELECT array_agg(relname::text) FROM pg_stat_user_tables")
    assert tables[0] == ["orders"]
    users = await fetch(
        foreign.database_url,
        "SELECT DISTINCT datname::text, usename::text FROM pg_stat_activity WHERE usename ~ '^celeriac'",
    )
    assert {datname for datname, _ in users} == {"celeriac"}
    assert {name for _, name in users} >= {"celeriac_scheduler", "celeriac_monitor", "celeriac_audit"}
    secrets = await fetch(
        foreign.database_url, "SELECT rolpassword FROM pg_authid WHERE rolname = 'celeriac_scheduler'"
    )
    assert secrets[0][0].startswith("SCRAM-SHA-256$4096:")


def test_nothing_is_given_that_was_not_asked_for(beside: System) -> None:
    with beside.channel() as channel:
        schedules = schedules_pb2_grpc.ScheduleServiceStub(channel).ListSchedules(
            schedules_pb2.ListSchedulesRequest(), timeout=10
        )
        messages = messages_pb2_grpc.MessageServiceStub(channel).ListMessages(
            messages_pb2.ListMessagesRequest(), timeout=10
        )
    assert not schedules.schedules and not messages.messages


def test_the_application_loses_no_task_and_all_are_on_the_screen(beside: System, foreign: Foreign) -> None:
    app = celery_app(foreign.broker.host, foreign.broker.port)
    sent: list[AsyncResult[int]] = [
        app.send_task("add", args=[number, 1], queue=queue) for queue in QUEUES for number in range(EACH)
    ]
    assert [result.get(timeout=60) for result in sent] == [
        number + 1 for _ in QUEUES for number in range(EACH)
    ]
    app.close()
    with beside.channel() as channel:
        stub = tasks_pb2_grpc.TaskServiceStub(channel)

        def succeeded() -> set[str]:
            request = tasks_pb2.ListTasksRequest(page_size=200, states=[tasks_pb2.TASK_STATE_SUCCESS])
            return {task.name for task in stub.ListTasks(request, timeout=10).tasks}

        wanted = {f"tasks/{result.id}" for result in sent}
        eventually(lambda: wanted <= succeeded(), 30)


def test_its_own_workers_are_on_queues_with_a_prefix(beside: System, foreign: Foreign) -> None:
    app = celery_app(foreign.broker.host, foreign.broker.port)
    consumed = app.control.inspect(timeout=2).active_queues() or {}
    app.close()
    names = {worker: {queue["name"] for queue in queues} for worker, queues in consumed.items()}
    assert names == {
        "plain@test": set(QUEUES),
        "worker-analysis@celeriac": {"celeriac.ai_analysis"},
        "worker-maintenance@celeriac": {"celeriac.maintenance", "celeriac.health"},
    }


def test_after_a_stop_it_comes_back_to_the_same_database(beside: System, foreign: Foreign) -> None:
    assert beside.run("down").returncode == 0
    assert beside.process is not None and beside.process.wait(60) == 0
    beside.up()
    assert "first start" not in beside.output
    assert beside.run("status").returncode == 0
