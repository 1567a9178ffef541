"""The servicer of QueueService."""

from __future__ import annotations

from celeriac.monitor.v1 import queues_pb2 as pb
from celeriac.monitor.v1 import queues_pb2_grpc

from services.kernel.grpc.wire import Context
from services.monitor.api.convert import queue_to
from services.monitor.api.pages import page_by_name
from services.monitor.queues import BrokerQueues


class QueueApi(queues_pb2_grpc.QueueServiceServicer):
    def __init__(self, queues: BrokerQueues) -> None:
        self._queues = queues

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        page, token = page_by_name(request, await self._queues.read(), lambda queue: queue.name)
        return pb.ListQueuesResponse(queues=map(queue_to, page), next_page_token=token)
