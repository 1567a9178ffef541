"""A monitor that is played: a real server of its contract, which tells what workers of ours do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc, tasks_pb2, tasks_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from tests.chaos.workers import Work, Workers

TELL_SECONDS = 0.1
# A stream that nobody has closed holds one.
THREADS = 24


class PlayedMonitor(tasks_pb2_grpc.TaskServiceServicer, monitoring_pb2_grpc.MonitoringServiceServicer):
    """It has heard of each task that was taken, and of every other one that it was sent."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def BatchGetTasks(
        self, request: tasks_pb2.BatchGetTasksRequest, context: grpc.ServicerContext
    ) -> tasks_pb2.BatchGetTasksResponse:
        found = (self._task(name.removeprefix("tasks/")) for name in request.names)
        return tasks_pb2.BatchGetTasksResponse(tasks=filter(None, found))

    def RevokeTask(
        self, request: tasks_pb2.RevokeTaskRequest, context: grpc.ServicerContext
    ) -> tasks_pb2.RevokeTaskResponse:
        if not request.terminate:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "would not end what is being run")
        if not self._workers.revoke(request.name.removeprefix("tasks/")):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "has ended")
        return tasks_pb2.RevokeTaskResponse()

    def WatchEvents(
        self, request: monitoring_pb2.WatchEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[monitoring_pb2.WatchEventsResponse]:
        """Ends only: the scheduler asks for no more."""
        yield monitoring_pb2.WatchEventsResponse(metrics=monitoring_pb2.Metrics())
        told = {work.task_id for work in list(self._workers.works) if work.has_ended()}
        while context.is_active():
            for work in list(self._workers.works):
                if work.task_id not in told and work.has_ended():
                    told.add(work.task_id)
                    yield monitoring_pb2.WatchEventsResponse(task=_told(work))
            time.sleep(TELL_SECONDS)

    def _task(self, task_id: str) -> tasks_pb2.Task | None:
        work = self._workers.work(task_id)
        if work is not None:
            return _told(work)
        if int(task_id[-1], 16) % 2:
            return None
        state = tasks_pb2.TASK_STATE_PENDING
        return tasks_pb2.Task(name=f"tasks/{task_id}", state=state, update_time=_at(time.time()))


def _told(work: Work) -> tasks_pb2.Task:
    task = tasks_pb2.Task(name=f"tasks/{work.task_id}", started_time=_at(work.began))
    if not work.has_ended():
        task.state = tasks_pb2.TASK_STATE_STARTED
        task.update_time.CopyFrom(task.started_time)
        return task
    task.state = tasks_pb2.TASK_STATE_REVOKED if work.revoked else tasks_pb2.TASK_STATE_SUCCESS
    task.end_time.CopyFrom(_at(work.ends))
    task.update_time.CopyFrom(task.end_time)
    return task


def _at(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromNanoseconds(int(seconds * 1e9))
    return moment


@contextlib.contextmanager
def playing_monitor(state: Path, port: int, workers: Workers) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(THREADS))
    # It has the methods that schedulers call; any other is UNIMPLEMENTED, as gRPC has it.
    played = PlayedMonitor(workers)  # type: ignore[abstract]
    tasks_pb2_grpc.add_TaskServiceServicer_to_server(played, server)
    monitoring_pb2_grpc.add_MonitoringServiceServicer_to_server(played, server)
    pair = (state / "certs/monitor.key").read_bytes(), (state / "certs/monitor.crt").read_bytes()
    credentials = grpc.ssl_server_credentials([pair], (state / "ca.pem").read_bytes(), True)
    assert server.add_secure_port(f"127.0.0.1:{port}", credentials) == port
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait(10)
