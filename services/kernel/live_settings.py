"""The live settings of a process, followed from the scheduler's ConfigService. Changes apply at once.

Before the first contact with the scheduler every key has its default. While the scheduler is away, every key
keeps its last known value.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import grpc.aio
import structlog
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from services.kernel.config_wire import COLLECTION, value_from
from services.kernel.durations import DurationFault
from services.kernel.live_keys import Key, Value, ValueType, key_named, keys_of
from services.kernel.logged_errors import Loggable, for_log
from services.kernel.loops import Backoff, Heartbeat, jittered
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# A stream that is silent for so long is given up: the scheduler sends a sign of life every 15 seconds.
SILENCE_SECONDS = 45.0
LEAST_BACKOFF = 0.1
# The database was restored or failed over, or another version of the scheduler made the cursor.
CURSOR_REFUSED = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT})


@dataclass(frozen=True)
class Told:
    """The value in force for a key, as the scheduler reports it; None: the default is in force."""

    name: str
    value: Value | None


class LiveSettings:
    """The live settings that a process knows. They may be read from any thread."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.revision = 0
        self._values: dict[str, Value] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._contact = asyncio.Event()

    def get(self, key: Key[ValueType]) -> ValueType:
        """Returns the value in force for the key. Call it at each use, because the value may change."""
        value = self._values.get(key.name, key.default)
        return cast("ValueType", value)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Has `callback` called after each change, and at the first contact."""
        self._callbacks.append(callback)

    @property
    def in_contact(self) -> bool:
        """Whether the values in force are known."""
        return self._contact.is_set()

    async def first_contact(self) -> None:
        """Waits until the values in force are known. Code that deletes data by a setting must call this."""
        await self._contact.wait()

    def take(self, told: Iterable[Told], revision: int, *, complete: bool = False) -> None:
        """Puts the values into force; with `complete`, all keys that are not in `told` get their defaults.

        A value that this process's own declaration of the key refuses is logged, and the key keeps its old
        value.
        """
        values = {} if complete else dict(self._values)
        for one in told:
            key = key_named(one.name)
            if key is None or key.sensitive or self.service not in key.used_by:
                continue
            if one.value is None:
                values.pop(one.name, None)
            elif fault := key.fault_of(one.value):
                log.error("config.value_refused", key=one.name, fault=fault, revision=revision)
                if one.name in self._values:
                    values[one.name] = self._values[one.name]
            else:
                values[one.name] = one.value
        before, self._values, self.revision = self._values, values, revision
        if values == before and self._contact.is_set():
            return
        shown = {name: str(value) for name, value in values.items()}
        log.info("config.in_force", revision=revision, set=shown)
        self._contact.set()
        for callback in self._callbacks:
            callback()


class _StreamEnded(Loggable):
    """The scheduler ended the stream, as it does when it stops."""


class Follower:
    """The background loop that follows ConfigService, and connects again when the stream breaks.

    It is not a `Loop`, because it logs only the first failure of an outage: all services follow the
    scheduler, and each tries again every few seconds while the scheduler is away.
    """

    def __init__(self, live: LiveSettings, channel: grpc.aio.Channel, pace: Pace = USUAL) -> None:
        self._live = live
        # Any: mypy-protobuf declares another type for the asyncio stub; at run time it is the same class.
        self._stub: Any = config_pb2_grpc.ConfigServiceStub(channel)
        self._names = [key.name for key in keys_of(live.service)]
        # After the last message that was put into force; empty: the next watch begins with all keys.
        self._cursor = ""
        self._retry = Backoff(LEAST_BACKOFF, pace.config_retry)
        self._heartbeat = Heartbeat("config")

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [self._heartbeat]

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except (grpc.aio.AioRpcError, TimeoutError, _StreamEnded) as error:
                if isinstance(error, grpc.aio.AioRpcError) and error.code() in CURSOR_REFUSED:
                    self._cursor = ""
                if not self._heartbeat.failures_in_a_row:
                    log.warning("config.not_followed", error=for_log(error), revision=self._live.revision)
            self._heartbeat.failed()
            await asyncio.sleep(jittered(self._retry.after(self._heartbeat.failures_in_a_row)))

    async def _follow(self) -> NoReturn:
        """Reads the stream until it breaks.

        Raises `AioRpcError`, `TimeoutError` (silence) or `_StreamEnded`.
        """
        request = pb.WatchConfigsRequest(prefixes=self._names, cursor=self._cursor)
        stream = self._stub.WatchConfigs(request)
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    response = await stream.read()
                if response is grpc.aio.EOF:
                    raise _StreamEnded("the scheduler ended the stream")
                _take(self._live, response)
                self._cursor = response.cursor
                self._heartbeat.succeeded()
        finally:
            stream.cancel()


def _take(live: LiveSettings, response: pb.WatchConfigsResponse) -> None:
    told = [
        Told(config.name.removeprefix(COLLECTION), _value_in_force(config)) for config in response.configs
    ]
    live.take(told, response.revision, complete=response.complete)


def _value_in_force(config: pb.Config) -> Value | None:
    if not config.is_set:
        return None
    try:
        return value_from(config.value)
    except DurationFault:
        return dt.timedelta.max
