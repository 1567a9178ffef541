"""Somebody who watches while schedules are drained, and how much of it was told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from benchmarks.servers import ServiceProcess


class Watcher:
    """Counts the runs that a stream of WatchSchedules tells, or says that it has left out."""

    def __init__(self, stream: Any) -> None:
        self.runs = 0
        self._stream = stream
        # Its first message: from now on all is told.
        next(stream)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(grpc.RpcError):
            for message in self._stream:
                self.runs += len(message.runs.runs) + message.left_out_count


@contextlib.contextmanager
def watching(process: ServiceProcess, token: str) -> Iterator[Watcher]:
    """One who watches all runs by that replica."""
    with process.channel() as channel:
        stream = schedules_pb2_grpc.ScheduleServiceStub(channel).WatchSchedules(
            pb.WatchSchedulesRequest(without_schedules=True),
            credentials=grpc.access_token_call_credentials(token),
        )
        try:
            yield Watcher(stream)
        finally:
            stream.cancel()
