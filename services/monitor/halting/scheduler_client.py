"""Tells the scheduler whether it sends runs: a client of its ConfigService."""

from __future__ import annotations

from typing import Any

import grpc.aio
from celeriac.scheduler.v1 import config_pb2, config_pb2_grpc

from services.kernel.errors import Unavailable
from services.kernel.live_keys import SENDS_RUNS

TIMEOUT_SECONDS = 5.0
MOST_DETAIL = 200


class SchedulerClient:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        # Any: mypy-protobuf declares another type for asyncio stubs; at run time both are one class.
        self._stub: Any = config_pb2_grpc.ConfigServiceStub(channel)

    async def sends(self, sends: bool, comment: str) -> None:
        """Raises `Unavailable`."""
        request = config_pb2.SetConfigRequest(
            name=f"configs/{SENDS_RUNS.name}",
            value=config_pb2.ConfigValue(bool_value=sends),
            comment=comment,
        )
        try:
            await self._stub.SetConfig(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            told = f"{error.code().name}: {error.details()}"[:MOST_DETAIL]
            raise Unavailable(f"the scheduler ({told})") from error
