"""The health of the other services, asked over mutual TLS."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable
from typing import Any

import celeriac
import grpc.aio
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services import ANSWERED_BY
from services.kernel.grpc.health import LOOP
from services.monitor.system.checks import late_loops
from services.monitor.system.components import MOST_DETAIL, TIMEOUT_SECONDS, Components, Finding, Health, Look


def services_elsewhere() -> dict[str, str]:
    """Returns the component that implements each gRPC service of the contracts, but for the monitor's own."""
    answered_by = {}
    for module in pkgutil.walk_packages(celeriac.__path__, "celeriac."):
        if module.name.endswith("_pb2"):
            file: FileDescriptor = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                answered_by[service.full_name] = ANSWERED_BY[file.package]
    return {name: component for name, component in answered_by.items() if component != "monitor"}


def peer_look(channel: grpc.aio.Channel) -> Look:
    """Returns a check that asks a service for its own health, and that of its background loops."""
    stub = health_pb2_grpc.HealthStub(channel)

    async def look() -> Finding:
        try:
            answer = await stub.List(health_pb2.HealthListRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            return Finding(
                Health.UNHEALTHY, f"{error.code().name}: {error.details()}"[:MOST_DETAIL], asked=False
            )
        not_serving = {
            name
            for name, each in answer.statuses.items()
            if each.status != health_pb2.HealthCheckResponse.SERVING
        }
        if "" in not_serving:
            return Finding(Health.UNHEALTHY, "it says that it does not serve: it starts or stops")
        late = sorted(name.removeprefix(LOOP) for name in not_serving if name.startswith(LOOP))
        return late_loops(late) or Finding(Health.HEALTHY, "serving")

    return look


def audit_look(channel: grpc.aio.Channel) -> Look:
    """Returns a check that asks the audit service for its health, and whether its log takes entries.

    The second question is needed because a service whose log is stopped still answers calls that read.
    """
    serving = peer_look(channel)
    # mypy-protobuf declares a separate type for asyncio stubs; at run time both are one class.
    stub: Any = audit_pb2_grpc.AuditServiceStub(channel)

    async def look() -> Finding:
        # Both calls at once: when they wake the two processes together, the second costs little.
        call = stub.GetStatus(audit_pb2.GetStatusRequest(), timeout=TIMEOUT_SECONDS)
        try:
            finding = await serving()
            if finding.health is not Health.HEALTHY:
                return finding
            status = await call
        except grpc.aio.AioRpcError as error:
            detail = (
                f"serving; whether its log takes entries is not known: {error.code().name}: {error.details()}"
            )
            return Finding(Health.DEGRADED, detail[:MOST_DETAIL])
        finally:
            call.cancel()
        if not status.accepting:
            detail = f"the log is stopped, nothing is appended: {'; '.join(status.faults)}"
            return Finding(Health.UNHEALTHY, detail[:MOST_DETAIL])
        return finding

    return look


def health_elsewhere(
    components: Components, answered_by: dict[str, str]
) -> Callable[[], AsyncIterator[tuple[str, bool]]]:
    """Returns a stream of (gRPC service, whether it is up) for the services of `answered_by`.

    A service is up unless the component that implements it is unhealthy.
    """

    async def health() -> AsyncIterator[tuple[str, bool]]:
        async for component in components.changes():
            for name, answering in answered_by.items():
                if answering == component.name:
                    yield name, component.health is not Health.UNHEALTHY

    return health
