"""The live settings of a process: followed from the scheduler's ConfigService, and in force at once.

Before the first contact every key has its default; while the scheduler is away, its last known value.
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

from services.kernel.config_keys import Key, Value, ValueType, key_named, keys_of
from services.kernel.config_wire import value_from
from services.kernel.logged_errors import Loggable, for_log
from services.kernel.loops import Backoff, Heartbeat, jittered
from services.kernel.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# The scheduler gives a sign of life each 10 seconds.
SILENCE_SECONDS = 30.0
LEAST_BACKOFF = 0.1


@dataclass(frozen=True)
class Told:
    """What is in force for a key; None: its default."""

    name: str
    value: Value | None


class LiveSettings:
    """What a process knows of the live configuration. May be read from any thread."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.revision = 0
        self._values: dict[str, Value] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._contact = asyncio.Event()

    def get(self, key: Key[ValueType]) -> ValueType:
        """What is in force for the key now: ask each time, don't keep it."""
        value = self._values.get(key.name, key.default)
        return cast("ValueType", value)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Calls back after each change, and at the first contact."""
        self._callbacks.append(callback)

    async def first_contact(self) -> None:
        """Waits until the values in force are known. Whoever deletes by a setting must have waited."""
        await self._contact.wait()

    def take(self, told: Iterable[Told], revision: int, *, complete: bool = False) -> None:
        """What a value can't be by this process's own declaration is left out: it keeps what it had."""
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
    """The scheduler ended the stream, as one that stops does."""


class Follower:
    """Takes what ConfigService tells, and comes back to it for as long as it runs.

    Not a `Loop`: it logs only the first of the failures of an outage, as every service follows the scheduler
    and asks every two seconds while that is away.
    """

    def __init__(self, live: LiveSettings, channel: grpc.aio.Channel, pace: Pace = USUAL) -> None:
        self._live = live
        # mypy-protobuf types a stub for asyncio apart; at run time they are one class.
        self._stub: Any = config_pb2_grpc.ConfigServiceStub(channel)
        self._names = [key.name for key in keys_of(live.service)]
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
                if not self._heartbeat.failures_in_a_row:
                    log.warning("config.not_followed", error=for_log(error), revision=self._live.revision)
            self._heartbeat.failed()
            await asyncio.sleep(jittered(self._retry.after(self._heartbeat.failures_in_a_row)))

    async def _follow(self) -> NoReturn:
        """Until the stream breaks."""
        request = pb.WatchConfigRequest(prefixes=self._names, after_revision=self._live.revision)
        stream = self._stub.WatchConfig(request)
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    response = await stream.read()
                if response is grpc.aio.EOF:
                    raise _StreamEnded("the scheduler ended the stream")
                _take(self._live, response)
                self._heartbeat.succeeded()
        finally:
            stream.cancel()


def _take(live: LiveSettings, response: pb.WatchConfigResponse) -> None:
    told = [Told(config.name.removeprefix("config/"), _value_in_force(config)) for config in response.configs]
    live.take(told, response.revision, complete=response.complete)


def _value_in_force(config: pb.Config) -> Value | None:
    if not config.is_set:
        return None
    try:
        return value_from(config.value)
    except OverflowError:
        return dt.timedelta.max
