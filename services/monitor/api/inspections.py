"""Converts what workers tell of themselves to the messages of the contract."""

from __future__ import annotations

from celeriac.monitor.v1 import workers_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.monitor.api.convert import worker_name
from services.monitor.workers.inspection import (
    Autoscale,
    Inspection,
    Part,
    Pool,
    QueueOfWorker,
    TaskOfWorker,
    Use,
)

PARTS = wire_values(pb.WorkerPart, Part)


def inspection_to(found: Inspection) -> pb.WorkerInspection:
    stats = found.stats
    return pb.WorkerInspection(
        worker=worker_name(found.worker),
        inspect_time=timestamp(found.asked_at),
        unknown_parts=[
            pb.UnknownPart(part=PARTS[part], reason=found.unknown[part])
            for part in Part
            if part in found.unknown
        ],
        pool=_pool_to(stats.pool) if stats and stats.pool else None,
        uptime=duration(stats.uptime) if stats else None,
        processed=stats.processed if stats else {},
        queues=map(_queue_to, found.queues.values),
        queue_count=found.queues.count,
        registered_names=found.registered.values,
        registered_count=found.registered.count,
        active_tasks=map(_task_to, found.active.values),
        active_count=found.active.count,
        reserved_tasks=map(_task_to, found.reserved.values),
        reserved_count=found.reserved.count,
        scheduled_tasks=map(_task_to, found.scheduled.values),
        scheduled_count=found.scheduled.count,
        configuration=found.configuration,
        processes=map(_process_to, found.processes),
    )


def _pool_to(pool: Pool) -> pb.WorkerPool:
    return pb.WorkerPool(
        kind=pool.kind,
        concurrency=pool.concurrency,
        pids=pool.pids,
        prefetch_count=pool.prefetch,
        autoscale=_bounds_to(pool.autoscale),
        max_tasks_per_child=pool.max_tasks_per_child,
        soft_time_limit=duration(pool.soft_time_limit),
        time_limit=duration(pool.time_limit),
    )


def _bounds_to(bounds: Autoscale | None) -> pb.AutoscaleBounds | None:
    if bounds is None:
        return None
    return pb.AutoscaleBounds(max_concurrency=bounds.most, min_concurrency=bounds.least)


def _queue_to(queue: QueueOfWorker) -> pb.ConsumedQueue:
    return pb.ConsumedQueue(
        queue=f"queues/{queue.name}",
        exchange=queue.exchange,
        exchange_type=queue.exchange_type,
        routing_key=queue.routing_key,
        options=queue.options,
    )


def _task_to(task: TaskOfWorker) -> pb.HeldTask:
    return pb.HeldTask(
        task=f"tasks/{task.id}",
        task_name=task.name,
        args=task.args,
        kwargs=task.kwargs,
        queue=f"queues/{task.queue}" if task.queue else "",
        started_time=timestamp(task.started_at),
        eta=timestamp(task.eta),
        pid=task.pid,
        acknowledged=task.acknowledged,
        redelivered=task.redelivered,
        priority=task.priority,
    )


def _process_to(use: Use) -> pb.WorkerProcess:
    return pb.WorkerProcess(
        pid=use.pid,
        main=use.main,
        memory_bytes=use.memory,
        cpu_time=duration(use.cpu_seconds),
        cpu_percent=use.cpu_percent,
        start_time=timestamp(use.started_at),
    )
