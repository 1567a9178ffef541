"""The standard health service (grpc.health.v1).

Its `List` also tells which background loops are late, and whether other conditions of the service hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from services.kernel.loops import Heartbeat

# Before a loop's name in the list. `Check` and `Watch` know services alone: a service whose loop is late
# still answers calls, so load balancers go on sending them.
LOOP = "loop/"
# Before the name of another condition, such as "condition/log". It holds, or it does not.
CONDITION = "condition/"
# Of the audit service: the stored end of its log is what was signed.
LOG_TAKES_ENTRIES = "log"
Status = health_pb2.HealthCheckResponse


# The library has no types.
class Health(aio.HealthServicer):  # type: ignore[misc]
    """`heartbeats`: of the process's background loops. `conditions`: by name, whether each holds."""

    def __init__(
        self,
        heartbeats: Sequence[Heartbeat],
        conditions: Mapping[str, Callable[[], bool]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self._heartbeats = heartbeats
        self._conditions = conditions
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
        others = {CONDITION + name: holds() for name, holds in self._conditions.items()}
        return health_pb2.HealthListResponse(
            statuses={
                name: Status(status=Status.SERVING if well else Status.NOT_SERVING)
                for name, well in {**self._services, **loops, **others}.items()
            }
        )
