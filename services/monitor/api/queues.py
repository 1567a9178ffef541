"""The servicer of QueueService."""

from __future__ import annotations

from celeriac.monitor.v1 import queues_pb2 as pb
from celeriac.monitor.v1 import queues_pb2_grpc

from services.kernel.grpc.wire import Context
from services.monitor.queues import BrokerQueues, Queue


class QueueApi(queues_pb2_grpc.QueueServiceServicer):
    def __init__(self, queues: BrokerQueues) -> None:
        self._queues = queues

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        return pb.ListQueuesResponse(queues=map(queue_to, await self._queues.read()))


def queue_to(queue: Queue) -> pb.Queue:
    return pb.Queue(
        name=f"queues/{queue.name}",
        length=queue.length,
        by_priority=[pb.PriorityLength(priority=step, length=length) for step, length in queue.by_priority],
        unacknowledged=queue.unacknowledged,
        unacknowledged_estimated=queue.unacknowledged_estimated,
    )
