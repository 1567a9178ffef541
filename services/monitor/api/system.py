"""The servicer of SystemService."""

from __future__ import annotations

import datetime as dt
import time
from importlib.metadata import version

from celeriac.monitor.v1 import system_pb2 as pb
from celeriac.monitor.v1 import system_pb2_grpc

from services.kernel.database import Database
from services.kernel.grpc.wire import Context, duration, timestamp
from services.kernel.pages import encode_place, next_page_token, page_size
from services.monitor.api import event_gaps
from services.monitor.api.components import HEALTHS, component_to
from services.monitor.api.front_page import FrontPage
from services.monitor.api.halts import Halts
from services.monitor.gaps.store_gaps import GapStore
from services.monitor.system.components import Components, Health
from services.monitor.system.readiness import Readiness

VERSION = version("celeriac-platform")


class SystemApi(system_pb2_grpc.SystemServiceServicer):
    def __init__(
        self,
        components: Components,
        readiness: Readiness,
        time_zone: str,
        database: Database,
        front_page: FrontPage,
        halts: Halts,
    ) -> None:
        self._components = components
        self._readiness = readiness
        self._time_zone = time_zone
        self._database = database
        self._front_page = front_page
        self._halts = halts
        self._started = time.monotonic()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(
            health=HEALTHS[self._components.health],
            components=map(component_to, self._components.all()),
            version=VERSION,
            uptime=duration(time.monotonic() - self._started),
        )

    async def GetInfo(self, request: pb.GetInfoRequest, context: Context) -> pb.GetInfoResponse:
        self._readiness.require()
        now = timestamp(dt.datetime.now(dt.UTC))
        return pb.GetInfoResponse(product="celeriac", version=VERSION, time_zone=self._time_zone, time=now)

    async def CheckHealth(self, request: pb.CheckHealthRequest, context: Context) -> pb.CheckHealthResponse:
        return pb.CheckHealthResponse(
            health=HEALTHS[self._components.health],
            unhealthy=[each.name for each in self._components.all() if each.health is not Health.HEALTHY],
        )

    async def ListEventGaps(
        self, request: pb.ListEventGapsRequest, context: Context
    ) -> pb.ListEventGapsResponse:
        states, size = event_gaps.states_in(request), page_size(request.page_size)
        after = event_gaps.place_in(request.page_token)
        async with self._database.reading() as connection:
            found = await GapStore(connection).list(states, after, size + 1)
        token = next_page_token(found, size, lambda last: encode_place((last.started_at, str(last.id))))
        return pb.ListEventGapsResponse(gaps=map(event_gaps.gap_to, found[:size]), next_page_token=token)

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> pb.GetMetricsResponse:
        return await self._front_page.metrics()

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:
        return await self._halts.drain(request)

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:
        return await self._halts.resume()

    async def Shutdown(self, request: pb.ShutdownRequest, context: Context) -> pb.ShutdownResponse:
        return await self._halts.shut_down(request)

    async def Restart(self, request: pb.RestartRequest, context: Context) -> pb.RestartResponse:
        return await self._halts.restart(request)

    async def Start(
        self, request: pb.SystemServiceStartRequest, context: Context
    ) -> pb.SystemServiceStartResponse:
        return await self._halts.start()
