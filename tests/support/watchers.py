"""Who watches schedules and runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.support.calls import eventually
from tests.support.runs import schedule_of_run
from tests.support.schedulers import Scheduler
from tests.support.streams import StreamReader


def opened(scheduler: Scheduler, token: str = "", **request: Any) -> Any:
    """A stream over which nothing has been read yet."""
    stub = schedules_pb2_grpc.ScheduleServiceStub(scheduler.channel)
    credentials = grpc.access_token_call_credentials(token or scheduler.token)
    return stub.WatchSchedules(pb.WatchSchedulesRequest(**request), credentials=credentials)


class Watcher(StreamReader[pb.WatchSchedulesResponse]):
    """Has read schedules and runs."""

    def schedules(self) -> list[tuple[int, str]]:
        events = [message.schedule for message in self.seen if message.HasField("schedule")]
        return [(event.kind, event.name) for event in events]

    def runs(self, schedule: str) -> list[pb.Run]:
        runs = [run for message in self.seen for run in message.runs.runs]
        return [run for run in runs if schedule_of_run(run) == schedule]

    @property
    def cursor(self) -> str:
        return self.seen[-1].cursor


@contextmanager
def watching(scheduler: Scheduler, token: str = "", **request: Any) -> Iterator[Watcher]:
    watcher = Watcher(opened(scheduler, token, **request))
    try:
        eventually(lambda: watcher.seen or watcher.error)
        yield watcher
    finally:
        watcher.end()
