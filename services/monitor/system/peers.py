"""The health of the other services, asked over mutual TLS."""

from __future__ import annotations

import asyncio
import functools
import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn

import celeriac
import grpc.aio
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services import ANSWERED_BY
from services.kernel.grpc.health import CONDITION, LOG_TAKES_ENTRIES, LOOP
from services.kernel.loops import Backoff, jittered
from services.monitor.system.checks import late_loops
from services.monitor.system.components import (
    MOST_DETAIL,
    TIMEOUT_SECONDS,
    Components,
    Finding,
    Followed,
    Health,
    Look,
)

Serving = health_pb2.HealthCheckResponse
# Between two streams that broke.
RETRY = Backoff(0.2, 5.0)


def services_elsewhere() -> dict[str, str]:
    """Returns the component that implements each gRPC service of the contracts, but for the monitor's own."""
    answered_by = {}
    for module in pkgutil.walk_packages(celeriac.__path__, "celeriac."):
        if module.name.endswith("_pb2"):
            file: FileDescriptor = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                answered_by[service.full_name] = ANSWERED_BY[file.package]
    return {name: component for name, component in answered_by.items() if component != "monitor"}


def peer(channel: grpc.aio.Channel) -> Followed:
    """Returns how a service is asked for its own health, and that of its background loops."""
    stub: Any = health_pb2_grpc.HealthStub(channel)

    async def look() -> Finding:
        return _finding_in(await _listed(stub))

    return Followed(_unless_away(look), functools.partial(_follow, stub))


def audit(channel: grpc.aio.Channel) -> Followed:
    """Returns how the audit service is asked for its health, and whether its log takes entries.

    A service whose log is stopped still answers calls that read. Why it is stopped is asked for only then.
    """
    stub: Any = health_pb2_grpc.HealthStub(channel)
    # mypy-protobuf declares a separate type for asyncio stubs; at run time both are one class.
    log: Any = audit_pb2_grpc.AuditServiceStub(channel)

    async def look() -> Finding:
        statuses = await _listed(stub)
        finding = _finding_in(statuses)
        # One of an earlier version does not tell, and is asked each time.
        if finding.health is not Health.HEALTHY or statuses.get(CONDITION + LOG_TAKES_ENTRIES):
            return finding
        return await _log_finding(log) or finding

    return Followed(_unless_away(look), functools.partial(_follow, stub))


def _unless_away(look: Look) -> Look:
    async def answered() -> Finding:
        try:
            return await look()
        except grpc.aio.AioRpcError as error:
            return Finding(
                Health.UNHEALTHY, f"{error.code().name}: {error.details()}"[:MOST_DETAIL], asked=False
            )

    return answered


async def _listed(stub: Any) -> dict[str, bool]:
    """Returns what the service tells of itself: whether each of its names is well."""
    answer = await stub.List(health_pb2.HealthListRequest(), timeout=TIMEOUT_SECONDS)
    return {name: each.status == Serving.SERVING for name, each in answer.statuses.items()}


def _finding_in(statuses: Mapping[str, bool]) -> Finding:
    if not statuses.get("", True):
        return Finding(Health.UNHEALTHY, "it says that it does not serve: it starts or stops")
    late = sorted(
        name.removeprefix(LOOP) for name, well in statuses.items() if name.startswith(LOOP) and not well
    )
    return late_loops(late) or Finding(Health.HEALTHY, "serving")


async def _log_finding(stub: Any) -> Finding | None:
    """Returns why the log takes no entries; None if it does."""
    try:
        status = await stub.GetStatus(audit_pb2.GetStatusRequest(), timeout=TIMEOUT_SECONDS)
    except grpc.aio.AioRpcError as error:
        detail = (
            f"serving; whether its log takes entries is not known: {error.code().name}: {error.details()}"
        )
        return Finding(Health.DEGRADED, detail[:MOST_DETAIL])
    if status.accepting:
        return None
    detail = f"the log is stopped, nothing is appended: {'; '.join(status.faults)}"
    return Finding(Health.UNHEALTHY, detail[:MOST_DETAIL])


async def _follow(stub: Any, changed: asyncio.Event) -> NoReturn:
    """Sets the event when the service says that it serves or stops, and when it ends or is there again."""
    failures = 0
    while True:
        # Begins when the service is there; until then nothing is asked.
        stream = stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        try:
            while await stream.read() is not grpc.aio.EOF:
                failures = 0
                changed.set()
        except grpc.aio.AioRpcError:
            # It has ended, or restarts; the look finds out.
            pass
        finally:
            stream.cancel()
        changed.set()
        failures += 1
        await asyncio.sleep(jittered(RETRY.after(failures)))
        # It may have been there meanwhile, and have ended again: the next stream would not tell.
        changed.set()


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
