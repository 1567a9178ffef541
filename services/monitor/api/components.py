"""Components and their health, as messages of the contract."""

from __future__ import annotations

from celeriac.monitor.v1 import system_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.monitor.system.components import Component, Health

HEALTHS = wire_values(pb.Health, Health)


def component_to(component: Component) -> pb.Component:
    return pb.Component(
        component=component.name,
        health=HEALTHS[component.health],
        detail=component.detail,
        latency=duration(component.latency),
        check_time=timestamp(component.checked_at),
    )
