"""A running monitor, and the callers of its services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from celeriac.monitor.v1 import (
    alerts_pb2_grpc,
    monitoring_pb2_grpc,
    queues_pb2_grpc,
    system_pb2_grpc,
    tasks_pb2_grpc,
    workers_pb2,
    workers_pb2_grpc,
)
from celeriac.operations.v1 import operations_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually
from tests.support.ports import free_port
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey

ONLINE = workers_pb2.WORKER_STATE_ONLINE


@dataclass
class Monitor:
    """Callers carry an admin's token, unless they are named otherwise."""

    process: ServiceProcess
    channel: grpc.Channel
    token: str
    metrics_port: int

    def __post_init__(self) -> None:
        self.tasks = Caller(tasks_pb2_grpc.TaskServiceStub(self.channel), self.token)
        self.workers = Caller(workers_pb2_grpc.WorkerServiceStub(self.channel), self.token)
        self.queues = Caller(queues_pb2_grpc.QueueServiceStub(self.channel), self.token)
        self.monitoring = Caller(monitoring_pb2_grpc.MonitoringServiceStub(self.channel), self.token)
        self.alerts = Caller(alerts_pb2_grpc.AlertServiceStub(self.channel), self.token)
        self.operations = Caller(operations_pb2_grpc.OperationServiceStub(self.channel), self.token)
        self.system = Caller(system_pb2_grpc.SystemServiceStub(self.channel), self.token)

    def online(self, hostname: str) -> list[workers_pb2.Worker]:
        """The workers of the hostname that are online."""
        answer = self.workers.ListWorkers(workers_pb2.ListWorkersRequest(states=[ONLINE]))
        return [worker for worker in answer.workers if worker.hostname == hostname]

    def await_worker(self, hostname: str, count: int = 1) -> list[workers_pb2.Worker]:
        """Until heartbeats of so many workers of that hostname were heard."""

        def online() -> list[workers_pb2.Worker]:
            found = self.online(hostname)
            return found if len(found) == count else []

        workers: list[workers_pb2.Worker] = eventually(online)
        return workers


@contextlib.contextmanager
def running_monitor(
    state: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, **settings: str
) -> Iterator[Monitor]:
    """A monitor with its Prometheus endpoint, listening to the broker."""
    port = free_port()
    environment = environment_of(
        "monitor", state, database_url, valkey, CELERIAC_METRICS_PORT=str(port), **settings
    )
    with running_service("monitor", state, environment) as process, process.channel() as channel:
        yield Monitor(process, channel, tokens.mint("admin", subject="mei"), port)
