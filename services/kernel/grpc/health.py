"""The standard health service (grpc.health.v1); its `List` also tells which background loops are late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from services.kernel.loops import Heartbeat

# Before a loop's name in the list. `Check` and `Watch` know services alone: a service whose loop is late
# still answers calls, so load balancers go on sending them.
LOOP = "loop/"
Status = health_pb2.HealthCheckResponse


# The library has no types.
class Health(aio.HealthServicer):  # type: ignore[misc]
    """`heartbeats`: of the process's background loops."""

    def __init__(self, heartbeats: Sequence[Heartbeat]) -> None:
        super().__init__()
        self._heartbeats = heartbeats
        self._services: dict[str, bool] = {}

    async def tell(self, service: str, serving: bool) -> None:
        self._services[service] = serving
        await self.set(service, Status.SERVING if serving else Status.NOT_SERVING)

    async def enter_graceful_shutdown(self) -> None:
        self._services = dict.fromkeys(self._services, False)
        await super().enter_graceful_shutdown()

    # The name that grpc calls.
    async def List(self, _: health_pb2.HealthListRequest, __: Any) -> health_pb2.HealthListResponse:  # noqa: N802
        loops = {LOOP + heartbeat.name: not heartbeat.late for heartbeat in self._heartbeats}
        return health_pb2.HealthListResponse(
            statuses={
                name: Status(status=Status.SERVING if well else Status.NOT_SERVING)
                for name, well in {**self._services, **loops}.items()
            }
        )
