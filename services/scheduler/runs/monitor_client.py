"""A client of the monitor: what it knows of tasks, queues and workers, the stream of tasks that end, and
revoking a task."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

import grpc.aio
from celeriac.monitor.v1 import (
    monitoring_pb2,
    monitoring_pb2_grpc,
    queues_pb2,
    queues_pb2_grpc,
    tasks_pb2,
    tasks_pb2_grpc,
    workers_pb2,
    workers_pb2_grpc,
)
from google.protobuf.duration_pb2 import Duration

from services.kernel.logged_errors import Loggable

# The most tasks that one BatchGetTasks call may name.
MOST_AT_ONCE = 500
TIMEOUT_SECONDS = 5.0
# The stream sends figures, too, which are not needed here: as rarely as the monitor allows.
FIGURES_EVERY = Duration(seconds=60)
MOST_ERROR = 1000
# The most queues and workers that a page may have, and the most pages that are read of each.
PAGE, MOST_PAGES = 1000, 10
# In the last two nobody has the task any more, and no event told its end.
ENDED = frozenset({"SUCCESS", "FAILURE", "REVOKED", "REJECTED", "ENDED", "ORPHANED"})
# No worker was heard to have begun it: its message waits, or is lost with the broker's data.
NOT_TAKEN = frozenset({"PENDING", "LOST"})


class Heard(NamedTuple):
    """What the monitor knows of a task. `state`: as in its TaskState; `runtime` is in seconds.

    A task that is LOST has not ended: its run is to be marked as lost, or sent again.
    """

    task_id: str
    state: str
    worker: str
    runtime: float | None
    error: str | None
    updated_at: dt.datetime
    ended_at: dt.datetime | None
    # Empty if the monitor does not know it.
    queue: str = ""
    # What the monitor adds to some states: how it was revoked ("EXPIRED"), why it counts as orphaned.
    note: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class PauseSeen(NamedTuple):
    """The pause of a queue. `reason` is empty if none was given."""

    since: dt.datetime
    by: str
    reason: str


class QueueSeen(NamedTuple):
    """A queue of the broker: how many messages wait on it, and how many workers hold unacknowledged."""

    name: str
    length: int
    unacknowledged: int
    pause: PauseSeen | None = None


class WorkerSeen(NamedTuple):
    """A worker. `state`: as in the monitor's WorkerState. `queues`: empty until it has told them."""

    name: str
    state: str
    queues: frozenset[str]
    seen_at: dt.datetime

    @property
    def online(self) -> bool:
        return self.state == "ONLINE"


class Gap(Enum):
    """A place in the stream where tasks may have been left out."""

    GAP = "gap"


class MonitorAway(Loggable):
    """The monitor could not be reached, gave no answer in time, or answered with an error."""


class Monitor:
    """The monitor's services, through one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        # Any: the stubs are typed for blocking calls.
        self._tasks: Any = tasks_pb2_grpc.TaskServiceStub(channel)
        self._queues: Any = queues_pb2_grpc.QueueServiceStub(channel)
        self._workers: Any = workers_pb2_grpc.WorkerServiceStub(channel)
        self._monitoring: Any = monitoring_pb2_grpc.MonitoringServiceStub(channel)

    async def heard_of(self, task_ids: Sequence[str]) -> dict[str, Heard]:
        """Returns what the monitor knows of the tasks, `MOST_AT_ONCE` at most, by id. Raises `MonitorAway`.

        Tasks that it has not heard of are missing.
        """
        if not task_ids:
            return {}
        request = tasks_pb2.BatchGetTasksRequest(names=[f"tasks/{task_id}" for task_id in task_ids])
        try:
            answer = await self._tasks.BatchGetTasks(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise MonitorAway(_why(error)) from error
        return {heard.task_id: heard for heard in map(heard_in, answer.tasks)}

    async def queues(self) -> list[QueueSeen]:
        """Returns the queues of the broker, by name. Raises `MonitorAway`, also while the broker is away."""
        found: list[QueueSeen] = []
        async for answer in _pages(self._queues.ListQueues, queues_pb2.ListQueuesRequest(page_size=PAGE)):
            found += map(_queue_in, answer.queues)
        return found

    async def workers(self) -> list[WorkerSeen]:
        """Returns the workers that are there, and those that went within a day. Raises `MonitorAway`."""
        found: list[WorkerSeen] = []
        async for answer in _pages(self._workers.ListWorkers, workers_pb2.ListWorkersRequest(page_size=PAGE)):
            found += map(_worker_in, answer.workers)
        return found

    async def ended(self) -> AsyncIterator[Heard | Gap]:
        """Yields tasks as they end, from now on, and gaps; begins with a gap. Raises `MonitorAway`."""
        request = monitoring_pb2.WatchEventsRequest(metrics_interval=FIGURES_EVERY, ended_only=True)
        connected = False
        try:
            async for message in self._monitoring.WatchEvents(request):
                if message.left_out_count or not connected:
                    connected = True
                    yield Gap.GAP
                if message.HasField("task") and (heard := heard_in(message.task)).ended:
                    yield heard
        except grpc.aio.AioRpcError as error:
            raise MonitorAway(_why(error)) from error

    async def terminate(self, task_id: str) -> None:
        """Has the workers kill the task, or drop it if it has not started. Does nothing if it has ended.

        Raises `MonitorAway`, also when no worker answered.
        """
        request = tasks_pb2.RevokeTaskRequest(name=f"tasks/{task_id}", terminate=True)
        try:
            await self._tasks.RevokeTask(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise MonitorAway(_why(error)) from error


def heard_in(task: tasks_pb2.Task) -> Heard:
    state = tasks_pb2.TaskState.Name(task.state).removeprefix("TASK_STATE_")
    ended_at = task.end_time.ToDatetime(dt.UTC) if task.HasField("end_time") else None
    return Heard(
        task.name.removeprefix("tasks/"),
        state,
        task.worker,
        _runtime(task, ended_at) if state in ("SUCCESS", "FAILURE") else None,
        task.exception[:MOST_ERROR] if state == "FAILURE" else None,
        task.update_time.ToDatetime(dt.UTC),
        ended_at,
        task.queue.removeprefix("queues/"),
        _note(task),
    )


def _note(task: tasks_pb2.Task) -> str:
    if task.revocation:
        return tasks_pb2.Revocation.Name(task.revocation).removeprefix("REVOCATION_")
    return task.state_reason


def _queue_in(queue: queues_pb2.Queue) -> QueueSeen:
    name, pause = queue.name.removeprefix("queues/"), None
    if queue.HasField("pause"):
        told = queue.pause
        pause = PauseSeen(told.pause_time.ToDatetime(dt.UTC), told.subject, told.reason)
    return QueueSeen(name, queue.length, queue.unacknowledged, pause)


def _worker_in(worker: workers_pb2.Worker) -> WorkerSeen:
    return WorkerSeen(
        worker.name.removeprefix("workers/"),
        workers_pb2.WorkerState.Name(worker.state).removeprefix("WORKER_STATE_"),
        frozenset(queue.removeprefix("queues/") for queue in worker.queues),
        worker.last_seen_time.ToDatetime(dt.UTC),
    )


async def _pages(call: Any, request: Any) -> AsyncIterator[Any]:
    """Yields the pages of a list, MOST_PAGES at most."""
    for _ in range(MOST_PAGES):
        try:
            answer = await call(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise MonitorAway(_why(error)) from error
        yield answer
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def _runtime(task: tasks_pb2.Task, ended_at: dt.datetime | None) -> float | None:
    """Returns the worker's measure, in seconds. A failed task has none: then the time from start to end."""
    if task.HasField("runtime"):
        return task.runtime.ToMicroseconds() / 1e6
    if ended_at is None or not task.HasField("started_time"):
        return None
    return max(0.0, (ended_at - task.started_time.ToDatetime(dt.UTC)).total_seconds())


def _why(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"[:300]
