"""The servicer of WorkerService."""

from __future__ import annotations

from celeriac.monitor.v1 import workers_pb2 as pb
from celeriac.monitor.v1 import workers_pb2_grpc

from services.kernel.grpc.wire import Context
from services.monitor.api import convert
from services.monitor.workers.workers import WorkerTable


class WorkerApi(workers_pb2_grpc.WorkerServiceServicer):
    def __init__(self, workers: WorkerTable) -> None:
        self._workers = workers

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        workers = [worker for worker in self._workers.all() if worker.online or not request.online_only]
        return pb.ListWorkersResponse(workers=map(convert.worker_to, workers))
