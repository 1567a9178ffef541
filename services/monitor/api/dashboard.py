"""The servicer of MonitoringService with the front page, charts, and the start and stop of collection."""

from __future__ import annotations

from celeriac.monitor.v1 import monitoring_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2_grpc, snapshots_pb2

from services.kernel.grpc.wire import Context, timestamp
from services.kernel.identity import current_subject
from services.monitor.alerts.board import Board
from services.monitor.api.components import HEALTHS, component_to
from services.monitor.api.convert_alerts import alert_to
from services.monitor.api.front_page import FrontPage
from services.monitor.api.measured import Measured
from services.monitor.api.monitoring import MonitoringApi
from services.monitor.gaps.collecting import Collecting
from services.monitor.gaps.store_collection import Collection
from services.monitor.pace import USUAL, Pace
from services.monitor.system.components import Components
from services.monitor.watch.hub import Hub
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.workers import WorkerTable

MOST_ALERTS = 10


class DashboardApi(MonitoringApi, monitoring_pb2_grpc.MonitoringServiceServicer):
    def __init__(
        self,
        pulse: Pulse,
        hub: Hub[pb.WatchEventsResponse],
        workers: WorkerTable,
        components: Components,
        front_page: FrontPage,
        collecting: Collecting,
        measured: Measured,
        board: Board,
        pace: Pace = USUAL,
    ) -> None:
        super().__init__(pulse, hub, workers, pace)
        self._components = components
        self._front_page = front_page
        self._collecting = collecting
        self._measured = measured
        self._board = board

    async def GetDashboard(
        self, request: pb.GetDashboardRequest, context: Context
    ) -> pb.GetDashboardResponse:
        answer = pb.GetDashboardResponse(
            health=HEALTHS[self._components.health],
            components=map(component_to, self._components.all()),
            firing_alerts=map(alert_to, self._board.firing[:MOST_ALERTS]),
            firing_alert_count=len(self._board.firing),
        )
        await self._front_page.fill(answer, self.told_metrics)
        return answer

    async def ListMeasures(
        self, request: snapshots_pb2.ListMeasuresRequest, context: Context
    ) -> snapshots_pb2.ListMeasuresResponse:
        return self._measured.measures(request)

    async def ListSnapshots(
        self, request: snapshots_pb2.ListSnapshotsRequest, context: Context
    ) -> snapshots_pb2.ListSnapshotsResponse:
        return await self._measured.snapshots(request)

    async def QuerySeries(
        self, request: snapshots_pb2.QuerySeriesRequest, context: Context
    ) -> snapshots_pb2.QuerySeriesResponse:
        return await self._measured.series(request)

    async def Start(self, request: pb.StartRequest, context: Context) -> pb.StartResponse:
        return pb.StartResponse(collection=_collection_to(await self._collecting.start()))

    async def Stop(self, request: pb.StopRequest, context: Context) -> pb.StopResponse:
        return pb.StopResponse(collection=_collection_to(await self._collecting.stop(current_subject())))


def _collection_to(found: Collection) -> pb.Collection:
    if found.runs:
        return pb.Collection(running=True)
    return pb.Collection(stop_time=timestamp(found.stopped_at), stopped_by=found.stopped_by)
