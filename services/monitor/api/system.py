"""The servicer of SystemService."""

from __future__ import annotations

import datetime as dt
import time
from importlib.metadata import version

from celeriac.monitor.v1 import system_pb2 as pb
from celeriac.monitor.v1 import system_pb2_grpc

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import Context, duration, timestamp
from services.monitor.system.components import Component, Components, Health
from services.monitor.system.readiness import Readiness

VERSION = version("celeriac-platform")
HEALTHS = wire_values(pb.Health, Health)


class SystemApi(system_pb2_grpc.SystemServiceServicer):
    def __init__(self, components: Components, readiness: Readiness, time_zone: str) -> None:
        self._components = components
        self._readiness = readiness
        self._time_zone = time_zone
        self._started = time.monotonic()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(
            health=HEALTHS[self._components.health],
            components=map(_component_to, self._components.all()),
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


def _component_to(component: Component) -> pb.Component:
    return pb.Component(
        component=component.name,
        health=HEALTHS[component.health],
        detail=component.detail,
        latency=duration(component.latency),
        check_time=timestamp(component.checked_at),
    )
