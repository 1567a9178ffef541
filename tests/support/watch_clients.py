"""Readers of the client's schedule_watch, with asyncio and without."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from celeriac.schedule_watch import watch_schedules, watch_schedules_blocking
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.calls import eventually
from tests.support.schedulers import Scheduler


@dataclass(frozen=True)
class Target:
    """Where to watch; without credentials, in the clear."""

    address: str
    credentials: grpc.ChannelCredentials | None = None

    def channel(self) -> grpc.aio.Channel:
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.address)
        return grpc.aio.secure_channel(self.address, self.credentials)

    def blocking_channel(self) -> grpc.Channel:
        if self.credentials is None:
            return grpc.insecure_channel(self.address)
        return grpc.secure_channel(self.address, self.credentials)

    @asynccontextmanager
    async def blocking_channel_beside_a_loop(self) -> AsyncIterator[grpc.Channel]:
        """For a test with asyncio: closed from a thread, as closing inside the loop of grpc.aio can hang."""
        channel = self.blocking_channel()
        try:
            yield channel
        finally:
            await asyncio.to_thread(channel.close)


def target_of(scheduler: Scheduler) -> Target:
    """With its token."""
    token = grpc.access_token_call_credentials(scheduler.token)
    process = scheduler.process
    return Target(process.address, grpc.composite_channel_credentials(process.credentials(), token))


@dataclass
class Reading:
    """What a reader has been told, and the error that ended it."""

    seen: list[pb.WatchSchedulesResponse] = field(default_factory=list)
    error: Exception | None = None

    def schedules(self) -> list[tuple[int, str]]:
        events = [message.schedule for message in self.seen if message.HasField("schedule")]
        return [(event.kind, event.name) for event in events]

    def cursors(self) -> list[str]:
        return [message.cursor for message in self.seen]


@asynccontextmanager
async def with_asyncio(target: Target, **wanted: Any) -> AsyncIterator[Reading]:
    reading = Reading()
    async with target.channel() as channel:

        async def read() -> None:
            try:
                async for message in watch_schedules(channel, **wanted):
                    reading.seen.append(message)
            except Exception as error:
                reading.error = error

        task = asyncio.create_task(read())
        try:
            yield reading
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _in_thread(target: Target, **wanted: Any) -> Iterator[Reading]:
    reading = Reading()
    channel = target.blocking_channel()

    def read() -> None:
        try:
            for message in watch_schedules_blocking(channel, **wanted):
                reading.seen.append(message)
        except Exception as error:
            reading.error = error

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reading
    finally:
        channel.close()
        thread.join(30)
        assert not thread.is_alive()


@asynccontextmanager
async def blocking(target: Target, **wanted: Any) -> AsyncIterator[Reading]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(_in_thread(target, **wanted))
        await asyncio.to_thread(stack.close)


Watch = Callable[..., contextlib.AbstractAsyncContextManager[Reading]]
WAYS: list[Watch] = [with_asyncio, blocking]


async def until(holds: Callable[[], Any]) -> Any:
    """Waits in a thread of its own, so that the loop goes on."""
    return await asyncio.to_thread(eventually, holds)
