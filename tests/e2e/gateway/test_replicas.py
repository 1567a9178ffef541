"""Two replicas of each service behind the gateway: one is restarted, and no caller notices."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from celeriac.embedder.v1 import embedding_pb2, embedding_pb2_grpc, messages_pb2, messages_pb2_grpc
from celeriac.monitor.v1 import tasks_pb2, tasks_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from deploy.envoy import GatewaySettings
from deploy.standalone.certificates import ensure_config_keys
from deploy.standalone.tokens import LocalIssuer
from services import SERVICES
from tests.support.embedder_workers import MODULE as BIGRAM_EMBEDDER
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess, environment_of
from tests.support.replicas import Call, called_at_once, called_through_a_restart, ports_of, running_replicas
from tests.support.schedules import CRONTAB, schedule_of
from tests.support.servers import Valkey

CALLS, ROUNDS = 1200, 3
log = logging.getLogger(__name__)


@dataclass
class Pair:
    """Two replicas of a service, and the gateway before them."""

    gateway: Gateway
    replicas: Sequence[ServiceProcess]
    admin: str


@contextlib.contextmanager
def pair_of(
    service: str, certificates: Path, tokens: LocalIssuer, audit_key: Path, database_url: str, valkey: Valkey
) -> Iterator[Pair]:
    more = {
        "CELERIAC_AUDIT_KEY": str(audit_key),
        "CELERIAC_CONFIG_KEYS": str(ensure_config_keys(certificates)),
    }
    environment = environment_of(service, certificates, database_url, valkey, **more)
    module = BIGRAM_EMBEDDER if service == "embedder" else None
    with (
        running_replicas(service, certificates, environment, module) as replicas,
        running_gateway(
            certificates,
            {service: ports_of(replicas)},
            GatewaySettings(rate=10**6, burst=10**6),
            health_from=service,
        ) as gateway,
    ):
        yield Pair(gateway, replicas, tokens.mint("admin", subject="mei"))


def reads_schedules(channel: grpc.Channel) -> Any:
    stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
    return stub.ListSchedules(pb.ListSchedulesRequest(page_size=5), timeout=15)


def pauses(name: str) -> Call:
    """Changes a schedule: audited, and without a request id."""

    def call(channel: grpc.Channel) -> Any:
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        return stub.PauseSchedule(pb.PauseScheduleRequest(name=name, note="again"), timeout=15)

    return call


def schedules_are_read_and_changed(gateway: Gateway, admin: str) -> list[Call]:
    with gateway.channel(admin) as channel:
        schedule = schedule_of(CRONTAB)
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        stub.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule), timeout=15)
    return [reads_schedules, pauses(schedule.name)]


def records_are_read(_: Gateway, __: str) -> list[Call]:
    def call(channel: grpc.Channel) -> Any:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        return stub.ListRecords(audit_pb2.ListRecordsRequest(page_size=5), timeout=15)

    return [call]


def tasks_are_read(_: Gateway, __: str) -> list[Call]:
    def call(channel: grpc.Channel) -> Any:
        return tasks_pb2_grpc.TaskServiceStub(channel).ListTasks(tasks_pb2.ListTasksRequest(), timeout=15)

    return [call]


def texts_are_embedded_and_written(_: Gateway, __: str) -> list[Call]:
    def embeds(channel: grpc.Channel) -> Any:
        stub = embedding_pb2_grpc.EmbeddingServiceStub(channel)
        return stub.Embed(embedding_pb2.EmbedRequest(texts=["rain"]), timeout=15)

    def writes(channel: grpc.Channel) -> Any:
        message = messages_pb2.Message(
            name="messages/one",
            text="rain",
            conversation="conversations/one",
            role=messages_pb2.MESSAGE_ROLE_USER,
        )
        request = messages_pb2.IngestMessagesRequest(messages=[message])
        return messages_pb2_grpc.MessageServiceStub(channel).IngestMessages(iter([request]), timeout=15)

    return [embeds, writes]


WORK: dict[str, Callable[[Gateway, str], list[Call]]] = {
    "scheduler": schedules_are_read_and_changed,
    "embedder": texts_are_embedded_and_written,
    "monitor": tasks_are_read,
    "audit": records_are_read,
}


@pytest.fixture(scope="module")
def schedulers(
    certificates: Path, tokens: LocalIssuer, audit_key: Path, database_url: str, valkey: Valkey
) -> Iterator[Pair]:
    with pair_of("scheduler", certificates, tokens, audit_key, database_url, valkey) as pair:
        yield pair


def test_a_restart_is_noticed_by_nobody(schedulers: Pair) -> None:
    calls = schedules_are_read_and_changed(schedulers.gateway, schedulers.admin)
    restarted = schedulers.replicas[:1]
    tally = called_through_a_restart(schedulers.gateway, schedulers.admin, calls, restarted, CALLS)
    assert not tally.failed, str(tally)


def test_a_replica_that_died_a_moment_ago_costs_no_call(schedulers: Pair) -> None:
    """The gateway has not noticed yet: what it can't deliver there goes to the other replica."""
    dying = schedulers.replicas[0]
    [_, change] = schedules_are_read_and_changed(schedulers.gateway, schedulers.admin)
    dying.kill()
    try:
        tally = called_at_once(schedulers.gateway, schedulers.admin, change, 100)
    finally:
        dying.start()
        schedulers.gateway.await_replica(dying.address)
    assert not tally.failed, str(tally)


@pytest.mark.soak
@pytest.mark.parametrize("service", SERVICES)
def test_three_restarts_of_each_service_are_noticed_by_nobody(
    service: str,
    certificates: Path,
    tokens: LocalIssuer,
    audit_key: Path,
    own_database_url: str,
    valkey: Valkey,
) -> None:
    with pair_of(service, certificates, tokens, audit_key, own_database_url, valkey) as pair:
        calls = WORK[service](pair.gateway, pair.admin)
        for turn in range(ROUNDS):
            restarted = [pair.replicas[turn % 2]]
            tally = called_through_a_restart(pair.gateway, pair.admin, calls, restarted, CALLS)
            # With `--log-cli-level=INFO` the figures are shown.
            log.info("%s, round %d: %s", service, turn + 1, tally)
            assert not tally.failed, str(tally)
