"""Each service while its database takes no connections: calls are to be sent again, and then go through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.embedder.v1 import messages_pb2, messages_pb2_grpc
from celeriac.monitor.v1 import tasks_pb2, tasks_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc
from sqlalchemy.engine import make_url

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually
from tests.support.outages import first_line_of
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey, create_migrated_database
from tests.support.sql import fetch_sync

Code = grpc.StatusCode
END = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE datname = '{0}'"
RELOAD = "SELECT pg_reload_conf()"


@dataclass(frozen=True)
class Service:
    """A service, and what is asked of it: calls that read, and one that is recorded where there is one."""

    name: str
    stub: Callable[[grpc.Channel], Any]
    calls: dict[str, Any]
    module: str | None = None


SERVICES = [
    Service(
        "scheduler",
        schedules_pb2_grpc.ScheduleServiceStub,
        {
            "ListSchedules": schedules_pb2.ListSchedulesRequest(),
            "DeleteSchedule": schedules_pb2.DeleteScheduleRequest(name="schedules/none"),
        },
    ),
    Service(
        "embedder",
        messages_pb2_grpc.MessageServiceStub,
        {
            "ListMessages": messages_pb2.ListMessagesRequest(),
            "DeleteMessage": messages_pb2.DeleteMessageRequest(name="messages/none"),
        },
        "tests.support.bigram_embedder",
    ),
    Service(
        "monitor",
        tasks_pb2_grpc.TaskServiceStub,
        {
            "ListTasks": tasks_pb2.ListTasksRequest(),
            "GetTask": tasks_pb2.GetTaskRequest(name="tasks/none"),
        },
    ),
    Service(
        "audit",
        audit_pb2_grpc.AuditServiceStub,
        {
            "ListRecords": audit_pb2.ListRecordsRequest(),
            "GetCheckpoint": audit_pb2.GetCheckpointRequest(),
        },
    ),
]


@dataclass(frozen=True)
class Running:
    service: Service
    process: ServiceProcess
    database_url: str
    caller: Caller

    @property
    def database(self) -> str:
        return str(make_url(self.database_url).database)

    def codes(self) -> set[grpc.StatusCode]:
        """How the calls end; OK for one that is answered."""
        return {self._code(method, request) for method, request in self.service.calls.items()}

    def lives(self) -> bool:
        return self.process.process is not None and self.process.process.poll() is None

    def _code(self, method: str, request: Any) -> grpc.StatusCode:
        try:
            getattr(self.caller, method)(request)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
        return Code.OK


@pytest.fixture(scope="module", params=SERVICES, ids=lambda service: service.name)
def running(
    request: pytest.FixtureRequest,
    certificates: Path,
    tokens: LocalIssuer,
    audit_key: Path,
    postgres_url: str,
    valkey: Valkey,
) -> Iterator[Running]:
    service: Service = request.param
    url = asyncio.run(create_migrated_database(postgres_url))
    environment = environment_of(service.name, certificates, url, valkey, CELERIAC_AUDIT_KEY=str(audit_key))
    with (
        running_service(service.name, certificates, environment, service.module) as process,
        process.channel() as channel,
    ):
        yield Running(service, process, url, Caller(service.stub(channel), tokens.mint("admin")))


def in_server(server_url: str, *statements: str) -> None:
    for statement in statements:
        fetch_sync(server_url, statement)


@pytest.mark.parametrize(
    ("closed", "opened"),
    [
        ("ALTER DATABASE {0} ALLOW_CONNECTIONS false", "ALTER DATABASE {0} ALLOW_CONNECTIONS true"),
        (
            "ALTER DATABASE {0} ALLOW_CONNECTIONS false; ALTER DATABASE {0} RENAME TO {0}_before",
            "ALTER DATABASE {0}_before RENAME TO {0}; ALTER DATABASE {0} ALLOW_CONNECTIONS true",
        ),
    ],
    ids=["closed", "replaced"],
)
def test_while_the_database_takes_no_connections_calls_are_unavailable_and_go_through_after(
    running: Running, postgres_url: str, closed: str, opened: str
) -> None:
    ordinary = running.codes()
    assert Code.OK in ordinary <= {Code.OK, Code.NOT_FOUND}
    name = running.database
    first, *rest = closed.format(name).split("; ")
    in_server(postgres_url, first, END.format(name), *rest)
    try:
        for _ in range(3):
            assert running.codes() == {Code.UNAVAILABLE}
    finally:
        in_server(postgres_url, *opened.format(name).split("; "))
    assert running.codes() == ordinary
    assert running.lives()


def test_a_service_that_the_database_does_not_let_in_says_why_and_lives_on(
    running: Running, postgres_url: str
) -> None:
    """A call that changes something is UNAVAILABLE even so: it can't be recorded."""
    ordinary = running.codes()
    [row] = fetch_sync(postgres_url, "SHOW hba_file")
    with first_line_of(Path(row["hba_file"]), f"local {running.database} all reject"):

        def shut_out() -> bool:
            in_server(postgres_url, RELOAD, END.format(running.database))
            return Code.INTERNAL in running.codes() <= {Code.INTERNAL, Code.UNAVAILABLE}

        eventually(shut_out)
        log = running.process.log()
    assert "database.refused" in log and "pg_hba.conf rejects connection" in log
    in_server(postgres_url, RELOAD)
    eventually(lambda: running.codes() == ordinary)
    assert running.lives()
