"""A running scheduler, and the callers of its services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from celeriac.scheduler.v1 import manifests_pb2_grpc, schedules_pb2_grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller
from tests.support.processes import ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey


@dataclass
class Scheduler:
    """Callers carry an admin's token, mei's."""

    process: ServiceProcess
    channel: grpc.Channel
    token: str

    def __post_init__(self) -> None:
        self.schedules = Caller(schedules_pb2_grpc.ScheduleServiceStub(self.channel), self.token)
        self.manifests = Caller(manifests_pb2_grpc.ManifestServiceStub(self.channel), self.token)

    def runs(self, schedule: str) -> list[pb.Run]:
        """The runs of a schedule, oldest first."""
        answer = self.schedules.ListRuns(pb.ListRunsRequest(parent=schedule, page_size=1000))
        return list(reversed(answer.runs))


@contextlib.contextmanager
def running_scheduler(
    state: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, **settings: str
) -> Iterator[Scheduler]:
    environment = environment_of("scheduler", state, database_url, valkey, **settings)
    with running_service("scheduler", state, environment) as process, process.channel() as channel:
        yield Scheduler(process, channel, tokens.mint("admin", subject="mei"))
