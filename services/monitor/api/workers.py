"""The servicer of WorkerService."""

from __future__ import annotations

from celeriac.monitor.v1 import workers_pb2 as pb
from celeriac.monitor.v1 import workers_pb2_grpc

from services.kernel.errors import NotFound
from services.kernel.grpc.wire import Context
from services.kernel.validation import Faults
from services.monitor.api.convert import WORKER_STATES_FROM_WIRE, worker_to
from services.monitor.api.inspections import inspection_to
from services.monitor.api.pages import page_by_name
from services.monitor.api.references import worker_in
from services.monitor.workers.deletions import Deletions
from services.monitor.workers.inspecting import Inspector
from services.monitor.workers.worker import Worker, WorkerState
from services.monitor.workers.workers import WorkerTable


class WorkerApi(workers_pb2_grpc.WorkerServiceServicer):
    def __init__(self, workers: WorkerTable, deletions: Deletions, inspector: Inspector) -> None:
        self._workers = workers
        self._deletions = deletions
        self._inspector = inspector

    async def GetWorker(self, request: pb.GetWorkerRequest, context: Context) -> pb.GetWorkerResponse:
        return pb.GetWorkerResponse(worker=worker_to(self._found(request.name)))

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        states = _states_in(request)
        workers = [worker for worker in self._workers.all() if not states or worker.state in states]
        page, token = page_by_name(request, workers, lambda worker: str(worker.name))
        return pb.ListWorkersResponse(workers=map(worker_to, page), next_page_token=token)

    async def DeleteWorker(
        self, request: pb.DeleteWorkerRequest, context: Context
    ) -> pb.DeleteWorkerResponse:
        await self._deletions.delete(self._found(request.name).name)
        return pb.DeleteWorkerResponse()

    async def InspectWorker(
        self, request: pb.InspectWorkerRequest, context: Context
    ) -> pb.InspectWorkerResponse:
        inspection = await self._inspector.inspect(self._found(request.name).name)
        return pb.InspectWorkerResponse(inspection=inspection_to(inspection))

    def _found(self, name: str) -> Worker:
        found = self._workers.find(worker_in(name, self._workers))
        if not found:
            raise NotFound("worker", name)
        there = [worker for worker in found if worker.state is not WorkerState.GONE]
        return [*there, *found][0]


def _states_in(request: pb.ListWorkersRequest) -> set[WorkerState]:
    faults = Faults()
    for position, state in enumerate(request.states):
        fault = f"is {state}, not a WorkerState"
        known = state in WORKER_STATES_FROM_WIRE
        faults.unless(known, f"states[{position}]", fault, "WORKER_STATE_ONLINE")
    faults.raise_any()
    return {WORKER_STATES_FROM_WIRE[state] for state in request.states}
