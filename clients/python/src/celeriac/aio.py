"""The client for asyncio: `celeriac.connect()`, awaited.

async with celeriac.aio.connect() as client:
    async for schedule in client.schedules.list():
        print(schedule.id, schedule.next_run_time)
    run = await client.schedules.trigger("nightly")
    print((await run.wait()).outcome)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import grpc
import grpc.aio

from celeriac.calls.awaiting import AsyncCalls
from celeriac.channel import open_channel
from celeriac.connection import connection
from celeriac.services import AsyncServices


class AsyncClient(AsyncServices):
    """Made by `connect()`. Of one event loop; close it, or use it in an `async with` statement."""

    def __init__(
        self, channel: grpc.aio.Channel, target: str, metadata: Callable[[], list[tuple[str, str]]]
    ) -> None:
        self.target = target
        self._channel = channel
        self._calls = AsyncCalls(channel, target, metadata)

    async def close(self) -> None:
        """Ends the connection, and all calls that are under way."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def connect(
    target: str | None = None,
    *,
    token: str | Callable[[], str] | None = None,
    ca: str | Path | None = None,
    context: str | None = None,
) -> AsyncClient:
    """Returns a client for asyncio, as `celeriac.connect()` does. Call it in the event loop."""
    found = connection(target, token, ca, context)
    channel = open_channel(found.target, grpc.ssl_channel_credentials(found.ca))
    return AsyncClient(channel, found.target, found.metadata)
