"""The servicer of WorkerService."""

from __future__ import annotations

from dataclasses import dataclass

from celeriac.monitor.v1 import workers_pb2 as pb
from celeriac.monitor.v1 import workers_pb2_grpc

from services.kernel.errors import NotFound
from services.kernel.grpc.wire import Context
from services.kernel.validation import Faults
from services.monitor.api.convert import WORKER_STATES_FROM_WIRE, reply_to, worker_name, worker_to
from services.monitor.api.inspections import inspection_to
from services.monitor.api.pages import page_by_name
from services.monitor.api.references import worker_in
from services.monitor.api.worker_acts import (
    OnWorkers,
    bounds_in,
    chosen_in,
    count_in,
    queue_in,
    rate_limit_in,
    task_name_in,
    wait_in,
)
from services.monitor.workers.choosing import Chosen
from services.monitor.workers.consumers import Consumers
from services.monitor.workers.deletions import Deletions
from services.monitor.workers.inspecting import Inspector
from services.monitor.workers.pools import Pools
from services.monitor.workers.shutdown import Shutdown, Stopped
from services.monitor.workers.worker import Worker, WorkerState
from services.monitor.workers.workers import WorkerTable


@dataclass(frozen=True)
class Acts:
    """What can be done to workers, by kind."""

    pools: Pools
    consumers: Consumers
    shutdown: Shutdown


class WorkerApi(workers_pb2_grpc.WorkerServiceServicer):
    def __init__(self, workers: WorkerTable, deletions: Deletions, inspector: Inspector, acts: Acts) -> None:
        self._workers = workers
        self._deletions = deletions
        self._inspector = inspector
        self._pools, self._consumers, self._shutdown = acts.pools, acts.consumers, acts.shutdown

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

    async def PingWorkers(self, request: pb.PingWorkersRequest, context: Context) -> pb.PingWorkersResponse:
        replies = await self._pools.ping(self._chosen(request, Faults()))
        return pb.PingWorkersResponse(replies=map(reply_to, replies))

    async def GrowPool(self, request: pb.GrowPoolRequest, context: Context) -> pb.GrowPoolResponse:
        faults = Faults()
        count = count_in(request, faults)
        replies = await self._pools.grow(self._chosen(request, faults), count)
        return pb.GrowPoolResponse(replies=map(reply_to, replies))

    async def ShrinkPool(self, request: pb.ShrinkPoolRequest, context: Context) -> pb.ShrinkPoolResponse:
        faults = Faults()
        count = count_in(request, faults)
        replies = await self._pools.shrink(self._chosen(request, faults), count)
        return pb.ShrinkPoolResponse(replies=map(reply_to, replies))

    async def AutoscalePool(
        self, request: pb.AutoscalePoolRequest, context: Context
    ) -> pb.AutoscalePoolResponse:
        faults = Faults()
        most, least = bounds_in(request, faults)
        replies = await self._pools.autoscale(self._chosen(request, faults), most, least)
        return pb.AutoscalePoolResponse(replies=map(reply_to, replies))

    async def AddConsumer(self, request: pb.AddConsumerRequest, context: Context) -> pb.AddConsumerResponse:
        faults = Faults()
        queue = queue_in(request, faults)
        replies = await self._consumers.add(self._chosen(request, faults), queue)
        return pb.AddConsumerResponse(replies=map(reply_to, replies))

    async def CancelConsumer(
        self, request: pb.CancelConsumerRequest, context: Context
    ) -> pb.CancelConsumerResponse:
        faults = Faults()
        queue = queue_in(request, faults)
        replies = await self._consumers.cancel(self._chosen(request, faults), queue)
        return pb.CancelConsumerResponse(replies=map(reply_to, replies))

    async def RestartPool(self, request: pb.RestartPoolRequest, context: Context) -> pb.RestartPoolResponse:
        replies = await self._pools.restart(self._chosen(request, Faults()))
        return pb.RestartPoolResponse(replies=map(reply_to, replies))

    async def LimitTaskRate(
        self, request: pb.LimitTaskRateRequest, context: Context
    ) -> pb.LimitTaskRateResponse:
        faults = Faults()
        task_name, limit = task_name_in(request, faults), rate_limit_in(request, faults)
        replies = await self._pools.limit_rate(self._chosen(request, faults), task_name, limit)
        return pb.LimitTaskRateResponse(replies=map(reply_to, replies))

    async def ShutdownWorkers(
        self, request: pb.ShutdownWorkersRequest, context: Context
    ) -> pb.ShutdownWorkersResponse:
        faults = Faults()
        wait = wait_in(request, faults)
        able, stopped = await self._shutdown.to_stop(self._chosen(request, faults))
        replies = [] if request.validate_only else await self._shutdown.stop(able, stopped, wait)
        return pb.ShutdownWorkersResponse(replies=map(reply_to, replies), workers=map(_stopped_to, stopped))

    def _chosen(self, request: OnWorkers, faults: Faults) -> Chosen:
        """Raises `Invalid` with these faults, and with those of the workers that it names."""
        chosen = chosen_in(request, faults, self._workers)
        faults.raise_any()
        return chosen

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


def _stopped_to(stopped: Stopped) -> pb.StoppedWorker:
    return pb.StoppedWorker(worker=worker_name(stopped.worker), active_count=stopped.active)
