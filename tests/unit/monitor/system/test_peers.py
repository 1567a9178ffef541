"""Another service, as the monitor follows it: its stream tells, and it is asked seldom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc.aio
from grpc_health.v1 import health_pb2_grpc

from services.kernel.endings import end
from services.kernel.grpc.health import LOG_TAKES_ENTRIES
from services.kernel.grpc.health import Health as HealthServicer
from services.monitor.pace import Pace
from services.monitor.system.components import Component, Components, Health
from services.monitor.system.peers import audit, peer

# No second look is due in this test, so what becomes known was told.
SELDOM = Pace(components_look=3600, peers_look=3600, components_awaited=0.01)


class Peer:
    """A server with the health service alone, at one address."""

    def __init__(self) -> None:
        self.port = 0
        self.health = HealthServicer([])

    async def start(self, conditions: Mapping[str, bool] | None = None) -> grpc.aio.Server:
        holds = {name: lambda holds=holds: holds for name, holds in (conditions or {}).items()}
        self.health = HealthServicer([], holds)
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        await self.health.tell("", True)
        return server


@asynccontextmanager
async def followed(other: Peer) -> AsyncIterator[Components]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{other.port}") as channel:
        components = Components({"peer": peer(channel)}, SELDOM)
        running = asyncio.create_task(components.run())
        try:
            yield components
        finally:
            await end([running])


async def until(components: Components, health: Health) -> Component:
    async with asyncio.timeout(30):
        async for component in components.changes():
            if component.health is health:
                return component
    raise AssertionError


async def test_a_service_that_stops_ends_and_comes_back_is_known_before_it_is_asked_again() -> None:
    other = Peer()
    server = await other.start()
    async with followed(other) as components:
        await until(components, Health.HEALTHY)
        await other.health.enter_graceful_shutdown()
        assert "starts or stops" in (await until(components, Health.UNHEALTHY)).detail
        await server.stop(0)
        server = await other.start()
        await until(components, Health.HEALTHY)
        await server.stop(0)
        assert "UNAVAILABLE" in (await until(components, Health.UNHEALTHY)).detail


async def test_the_audit_service_is_asked_for_the_reason_only_when_its_log_takes_no_entries() -> None:
    other = Peer()
    # The server has no audit service: the question for the reason is answered UNIMPLEMENTED.
    for conditions, detail in (
        ({LOG_TAKES_ENTRIES: True}, "serving"),
        ({LOG_TAKES_ENTRIES: False}, "UNIMPLEMENTED"),
        # An earlier version does not tell.
        ({}, "UNIMPLEMENTED"),
    ):
        server = await other.start(conditions)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{other.port}") as channel:
            found = await audit(channel).look()
        assert detail in found.detail
        await server.stop(0)
