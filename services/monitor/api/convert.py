"""Converts tasks and workers to the messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.monitor.v1 import queues_pb2, tasks_pb2, workers_pb2

from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.monitor.queues import Queue
from services.monitor.sending.arguments import Source
from services.monitor.sending.many_retries import Outlook
from services.monitor.sending.retries import Retry
from services.monitor.sending.store_sent import NO_KIN, Kin
from services.monitor.tasks.failures import FailureGroup
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.revocations import Revocation
from services.monitor.tasks.stored_meta import NOTHING, StoredMeta
from services.monitor.tasks.tasks import WITH_EXCEPTION, Task, TaskState
from services.monitor.workers.answers import Outcome
from services.monitor.workers.control import Reply
from services.monitor.workers.task_events import TaskEvents
from services.monitor.workers.worker import Worker, WorkerState, WorkerWarning

STATES = wire_values(tasks_pb2.TaskState, TaskState)
STATES_FROM_WIRE = from_wire(STATES)
REVOCATIONS = wire_values(tasks_pb2.Revocation, Revocation)
WORKER_STATES = wire_values(workers_pb2.WorkerState, WorkerState)
WORKER_STATES_FROM_WIRE = from_wire(WORKER_STATES)
WORKER_WARNINGS = wire_values(workers_pb2.WorkerWarning, WorkerWarning)
TASK_EVENTS = wire_values(workers_pb2.TaskEvents, TaskEvents)
OUTCOMES = wire_values(tasks_pb2.WorkerOutcome, Outcome)
SOURCES = wire_values(tasks_pb2.ArgumentSource, Source)
MOST_WORKERS = 100
REASONS = {
    TaskState.ORPHANED: (
        "its worker is gone, no worker has it, its message is neither queued nor unacknowledged, and no end"
        " is stored"
    ),
    TaskState.LOST: (
        "the broker has lost data since the task was sent, and its message with it; no worker was heard to"
        " have begun it"
    ),
}


def task_to(task: Task, meta: StoredMeta = NOTHING, kin: Kin = NO_KIN) -> tasks_pb2.Task:
    succeeded = task.state is TaskState.SUCCESS
    failed = task.state in WITH_EXCEPTION
    revoked = task.state is TaskState.REVOKED
    return tasks_pb2.Task(
        name=f"tasks/{task.id}",
        task_name=task.task,
        state=STATES[task.state],
        queue=f"queues/{task.queue}" if task.queue else "",
        worker=worker_name(WorkerName(task.worker, task.worker_pid)) if task.worker else "",
        args=task.args,
        kwargs=task.kwargs,
        retries=task.retries,
        result=task.result if succeeded else "",
        exception=task.exception if failed else "",
        exception_type=task.exception_type if failed else "",
        exception_message=task.exception_message if failed else "",
        revocation=REVOCATIONS[task.revocation] if revoked and task.revocation else None,
        termination_signal=task.termination_signal if revoked else "",
        custom_state=task.custom_state,
        stored_state=meta.state,
        group_id=meta.group_id,
        children=[f"tasks/{child}" for child in meta.children],
        traceback=task.traceback if failed else "",
        runtime=duration(task.runtime) if succeeded else None,
        eta=timestamp(task.eta),
        expires=timestamp(task.expires),
        parent=f"tasks/{task.parent_id}" if task.parent_id else "",
        root=f"tasks/{task.root_id}" if task.root_id else "",
        run=task.run,
        sent_time=timestamp(task.sent_at),
        received_time=timestamp(task.received_at),
        started_time=timestamp(task.started_at),
        end_time=timestamp(task.ended_at),
        update_time=timestamp(task.updated_at),
        state_reason=REASONS.get(task.state, ""),
        retry_of=f"tasks/{kin.retry_of}" if kin.retry_of else "",
        retried_as=f"tasks/{kin.retried_as}" if kin.retried_as else "",
    )


def retry_to(retry: Retry) -> tasks_pb2.RetryTaskResponse:
    task = f"tasks/{retry.task_id}" if retry.task_id else ""
    return tasks_pb2.RetryTaskResponse(task=task, source=SOURCES[retry.source])


def outlook_to(outlook: Outlook, operation: str = "") -> tasks_pb2.RetryTasksResponse:
    return tasks_pb2.RetryTasksResponse(
        operation=f"operations/{operation}" if operation else "",
        matched_count=outlook.matched,
        retryable_count=len(outlook.task_ids),
        sources=[
            tasks_pb2.ArgumentSourceCount(source=SOURCES[source], count=outlook.sources[source])
            for source in Source
            if outlook.sources[source]
        ],
        refusals=[
            tasks_pb2.RetryRefusal(
                reason=each.reason, count=each.count, example=f"tasks/{each.example}", message=each.message
            )
            for each in outlook.refused.values()
        ],
    )


def outlook_bytes(outlook: Outlook, operation: str) -> bytes:
    """Returns the answer as it is kept for a repeated request."""
    return outlook_to(outlook, operation).SerializeToString()


def run_to(task_id: str, workers: Sequence[WorkerName]) -> tasks_pb2.RunTaskResponse:
    return tasks_pb2.RunTaskResponse(
        task=f"tasks/{task_id}" if task_id else "",
        workers=sorted(map(worker_name, workers))[:MOST_WORKERS],
    )


def failure_group_to(group: FailureGroup) -> tasks_pb2.FailureGroup:
    return tasks_pb2.FailureGroup(
        exception_type=group.exception_type,
        place=group.place,
        message=group.message,
        newest_task=f"tasks/{group.newest_id}",
        count=group.count,
        first_time=timestamp(group.first_at),
        last_time=timestamp(group.last_at),
        task_names=group.task_names,
    )


def worker_name(worker: WorkerName) -> str:
    return f"workers/{worker}"


def worker_to(worker: Worker) -> workers_pb2.Worker:
    return workers_pb2.Worker(
        name=worker_name(worker.name),
        hostname=worker.name.hostname,
        state=WORKER_STATES[worker.state],
        pid=worker.name.pid,
        software=worker.software,
        software_version=worker.software_version,
        system=worker.system,
        active=min(worker.active, 2**31 - 1),
        processed=worker.processed,
        load_average=worker.load_average,
        heartbeat_interval=duration(_milliseconds(worker.heartbeat_interval)),
        started_heard=worker.started_heard,
        first_seen_time=timestamp(worker.first_seen_at),
        last_seen_time=timestamp(worker.last_seen_at),
        events_lost=worker.events_lost,
        clock_skew=duration(_milliseconds(worker.clock_skew)),
        pool=worker.pool,
        task_events=TASK_EVENTS[worker.task_events],
        queues=[f"queues/{queue}" for queue in worker.queues],
        warnings=[WORKER_WARNINGS[warning] for warning in worker.warnings],
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def queue_to(queue: Queue) -> queues_pb2.Queue:
    return queues_pb2.Queue(
        name=f"queues/{queue.name}",
        length=queue.length,
        by_priority=[
            queues_pb2.PriorityLength(priority=step, length=length) for step, length in queue.by_priority
        ],
        unacknowledged=queue.unacknowledged,
        unacknowledged_estimated=queue.unacknowledged_estimated,
        waiting_for_eta=queue.waiting_for_eta,
    )


def reply_to(reply: Reply) -> tasks_pb2.WorkerReply:
    return tasks_pb2.WorkerReply(
        worker=worker_name(reply.worker), outcome=OUTCOMES[reply.outcome], message=reply.message
    )
