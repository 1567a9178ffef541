"""Converts tasks and workers to the messages of the contract."""

from __future__ import annotations

from celeriac.monitor.v1 import tasks_pb2, workers_pb2

from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.workers.workers import Worker

STATES = wire_values(tasks_pb2.TaskState, TaskState)
STATES_FROM_WIRE = from_wire(STATES)


def task_to(task: Task) -> tasks_pb2.Task:
    succeeded = task.state is TaskState.SUCCESS
    failed = task.state in (TaskState.FAILURE, TaskState.RETRY)
    return tasks_pb2.Task(
        name=f"tasks/{task.id}",
        task=task.task,
        state=STATES[task.state],
        queue=task.queue,
        worker=task.worker,
        args=task.args,
        kwargs=task.kwargs,
        retries=task.retries,
        result=task.result if succeeded else "",
        exception=task.exception if failed else "",
        traceback=task.traceback if failed else "",
        runtime=duration(task.runtime) if succeeded else None,
        eta=timestamp(task.eta),
        expires=timestamp(task.expires),
        parent=f"tasks/{task.parent_id}" if task.parent_id else "",
        root=f"tasks/{task.root_id}" if task.root_id else "",
        sent_time=timestamp(task.sent_at),
        received_time=timestamp(task.received_at),
        started_time=timestamp(task.started_at),
        end_time=timestamp(task.ended_at),
        update_time=timestamp(task.updated_at),
    )


def worker_to(worker: Worker) -> workers_pb2.Worker:
    return workers_pb2.Worker(
        name=f"workers/{worker.hostname}",
        online=worker.online,
        pid=worker.pid,
        software=worker.software,
        software_version=worker.software_version,
        system=worker.system,
        active=min(worker.active, 2**31 - 1),
        processed=worker.processed,
        load_average=worker.load_average,
        heartbeat_interval=worker.heartbeat_interval,
        started_heard=worker.started_heard,
        first_seen_time=timestamp(worker.first_seen_at),
        last_seen_time=timestamp(worker.last_seen_at),
        events_lost=worker.events_lost,
    )
