"""Reads requests for stored results, and converts what is stored to the messages of the contract."""

from __future__ import annotations

from celeriac.monitor.v1 import tasks_pb2 as pb

from services.kernel.grpc.wire import timestamp
from services.kernel.validation import Faults
from services.monitor.tasks.task_results import TaskResult

BYTES, MOST_BYTES = 1024 * 1024, 2 * 1024 * 1024


def bytes_in(request: pb.GetTaskResultRequest, faults: Faults) -> int:
    """Returns the most bytes that a result may have; BYTES if the field is not set."""
    fault = f"is {request.max_bytes}, it must be 1 to {MOST_BYTES}"
    faults.unless(0 <= request.max_bytes <= MOST_BYTES, "max_bytes", fault, str(BYTES))
    return request.max_bytes or BYTES


def result_to(result: TaskResult) -> pb.TaskResult:
    return pb.TaskResult(
        task=f"tasks/{result.task_id}",
        status=result.status,
        result_json=result.result,
        traceback=result.traceback,
        done_time=timestamp(result.done_at),
        worker=f"workers/{result.worker}" if result.worker else "",
        task_name=result.task,
        queue=f"queues/{result.queue}" if result.queue else "",
        retries=result.retries,
        args_json=result.args,
        kwargs_json=result.kwargs,
        children=[f"tasks/{child}" for child in result.children],
        parent=f"tasks/{result.parent_id}" if result.parent_id else "",
        group_id=result.group_id,
        size_bytes=result.size,
        truncated=result.truncated,
        expire_time=timestamp(result.expires_at),
    )
