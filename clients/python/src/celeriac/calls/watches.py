"""Watches of `celeriac.connect()`: streams that resume by themselves, and say where something is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

import grpc

from celeriac.calls.fields import is_repeated
from celeriac.calls.methods import Method
from celeriac.calls.views import view
from celeriac.gap import Gap
from celeriac.resuming import (
    IDLE_TIMEOUT_SECONDS,
    CursorExpired,
    Place,
    WatchedCall,
    next_of,
)

Event = TypeVar("Event")


def event_of(message: Any, calls: Any) -> Any:
    """Returns what a message of a watch is about; None for a sign of life.

    That is the member of its oneof `event` that is set, or its one message; a message with lists is returned
    as a whole.
    """
    descriptor = message.DESCRIPTOR
    if "event" in descriptor.oneofs_by_name:
        name = message.WhichOneof("event")
        return None if name is None else view(getattr(message, name), calls)
    if any(is_repeated(field) and len(getattr(message, field.name)) for field in descriptor.fields):
        return view(message, calls)
    for field in descriptor.fields:
        if field.message_type is not None and not is_repeated(field) and message.HasField(field.name):
            return view(getattr(message, field.name), calls)
    return None


class _Watching:
    """What both kinds of watch have in common: the position, and what becomes of a message or an error."""

    def __init__(
        self, calls: Any, method: Method, wanted: Any, cursor: str, fail: Callable[[Any], Exception]
    ) -> None:
        self._calls = calls
        self._method = method
        self._fail = fail
        self._place = Place(method.path.rpartition("/")[2], wanted, cursor)

    @property
    def cursor(self) -> str:
        """The position after the last event that you have finished: watch from here after a restart."""
        return self._place.cursor

    def _events(self, message: Any) -> Iterator[Any]:
        if message.left_out_count:
            yield Gap(message.left_out_count)
        event = event_of(message, self._calls)
        if event is not None:
            yield event

    def _pause_after(self, error: Exception) -> float | Gap:
        """Returns how long to wait, or the gap to tell at once. Raises an error that a new try can't mend."""
        try:
            return self._place.pause_after(error)
        except CursorExpired:
            self._place.cursor = ""
            return Gap(None)
        except grpc.RpcError as failed:
            raise self._fail(failed) from failed


class Watch(_Watching, Generic[Event]):
    """Yields events and gaps, without end. Leave the loop, or call `close()`, to end it.

    for event in client.monitoring.watch(): ...
    """

    _call: WatchedCall | None = None
    _closed = False

    def __iter__(self) -> Iterator[Event | Gap]:
        while not self._closed:
            call = WatchedCall(self._calls.begin(self._method, self._place.request()), IDLE_TIMEOUT_SECONDS)
            self._call = call
            try:
                while True:
                    message = call.next()
                    yield from self._events(message)
                    self._place.move_to(message)
            except (grpc.RpcError, EOFError, TimeoutError) as error:
                if self._closed:
                    return
                pause = self._pause_after(error)
            finally:
                call.end()
            if isinstance(pause, Gap):
                yield pause
            else:
                time.sleep(pause)

    def close(self) -> None:
        """Ends it, from any thread: the loop over it ends."""
        self._closed = True
        if self._call is not None:
            self._call.end()


class AsyncWatch(_Watching, Generic[Event]):
    """The same for asyncio: `async for event in client.monitoring.watch()`."""

    async def __aiter__(self) -> AsyncIterator[Event | Gap]:
        while True:
            call = self._calls.begin(self._method, self._place.request())
            try:
                while True:
                    message = await next_of(call, IDLE_TIMEOUT_SECONDS)
                    for event in self._events(message):
                        yield event
                    self._place.move_to(message)
            except (grpc.RpcError, EOFError, TimeoutError) as error:
                pause = self._pause_after(error)
            finally:
                call.cancel()
            if isinstance(pause, Gap):
                yield pause
            else:
                await asyncio.sleep(pause)
