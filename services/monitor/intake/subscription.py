"""The broker's stream of Celery events: Redis pub/sub, on a connection of its own.

The broker buffers messages that a subscriber has not read, up to a limit (`client-output-buffer-limit
pubsub`, by default 32 MB, or 8 MB for a minute). Beyond it, the broker closes the connection and drops the
buffer. Therefore the socket is emptied as soon as anything arrives, into a much larger buffer of this
process; the broker's buffer fills up only when this one is full. After a cut, `on_cut` is called, and the
next connection is opened at once: events published until then are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis
import structlog

from services.kernel.broker_address import BrokerAddress
from services.kernel.logged_errors import Loggable, for_log
from services.kernel.loops import Backoff
from services.monitor.pace import USUAL, Pace
from services.monitor.totals.ledger import Position

log = structlog.get_logger(__name__)

# Bytes of messages that may wait here to be taken in.
MOST_BUFFERED = 128 * 1024 * 1024
# Messages per slice: a few milliseconds of work. Between two slices, the event loop reads from the socket.
BATCH = 256
# Bytes that the parser gets at once: with each message that it gives, it moves all that it has left.
PARSED_AT_ONCE = 16 * 1024
CONNECT_SECONDS = 5.0
RETRY = Backoff(0.05, 2.0)


@dataclass(frozen=True)
class EventSource:
    """Celery's broker, and the prefix of kombu's channels on it (its `global_keyprefix`)."""

    broker: BrokerAddress
    key_prefix: str = ""

    @property
    def event_patterns(self) -> tuple[str, str]:
        """The channels to subscribe to: `…/{routing key}`, or `…` itself where `fanout_patterns` is off."""
        exchange = f"{_escaped(self.key_prefix)}/{self.broker.database}.celeryev"
        return f"{exchange}/*", exchange


class Refused(Loggable):
    """The broker answered a command with an error. The text does not contain the command's arguments."""


class Subscription:
    """Reads the event channels while `batches` is iterated, and reconnects after a cut."""

    def __init__(
        self,
        source: EventSource,
        *,
        on_listening: Callable[[], None] = lambda: None,
        on_cut: Callable[[], None] = lambda: None,
        most_buffered: int = MOST_BUFFERED,
        pace: Pace = USUAL,
    ) -> None:
        self._source = source
        self._on_listening = on_listening
        self._on_cut = on_cut
        self._most_buffered = most_buffered
        self._pace = pace
        self._streams: deque[_Stream] = deque()
        self._newest: _Stream | None = None
        # Set when a connection was opened.
        self._came = asyncio.Event()
        # Set when there is room for what another connection brings.
        self._room = asyncio.Event()
        # When the last batch was taken, in microseconds since 1970; no two have the same.
        self._taken_at = self._written_at = 0

    # Seconds since the messages of the last batch were heard: they are not kept.
    age = 0.0

    @property
    def heard_until(self) -> float:
        """When something last came over the newest connection, in seconds since 1970; 0 before the first."""
        return self._newest.heard_at if self._newest is not None else 0.0

    @property
    def caught_up(self) -> bool:
        """Whether no more than one slice waits to be taken in."""
        return all(stream.waiting <= BATCH for stream in self._streams)

    @property
    def taken_until(self) -> float:
        """Up to when all that was heard is taken, in seconds since 1970; 0 before the first connection."""
        return min((stream.taken_until for stream in self._streams), default=self.heard_until)

    @property
    def position(self) -> Position:
        """When the last batch was taken: the broker gives messages no numbers.

        Another monitor takes the same messages a moment earlier or later. So if it writes after this one, it
        may count those of that moment twice, or not at all.
        """
        return divmod(self._taken_at, 1000)

    def written_before(self, since: float | None) -> str:
        """Returns the time before that moment (time.monotonic()), as a place; None: of the last batch."""
        at = self._taken_at
        if since is not None:
            at = min(at, int((time.time() - (time.monotonic() - since)) * 1e6))
        self._written_at = max(self._written_at, at)
        return str(self._written_at)

    def taken_in_until(self, written_to: str) -> float:
        """Returns the moment (time.monotonic()) of such a place."""
        if not written_to.isdecimal():
            return 0.0
        return time.monotonic() - (time.time() - int(written_to) / 1e6)

    @property
    def buffered(self) -> int:
        """Bytes of messages that wait to be taken in."""
        return sum(stream.buffered for stream in self._streams)

    async def batches(self) -> AsyncGenerator[Sequence[bytes], None]:
        """Yields messages in the order of their arrival, up to `BATCH` at a time. Never ends."""
        keeping = asyncio.create_task(self._keep_open())
        # A fault of ours ends the iteration, too.
        keeping.add_done_callback(lambda _: self._came.set())
        try:
            while True:
                while not self._streams:
                    if keeping.done():
                        await keeping
                    self._came.clear()
                    await self._came.wait()
                while batch := await self._streams[0].take():
                    if self.buffered <= self._most_buffered:
                        self._room.set()
                    self._taken_at = max(self._taken_at + 1, int(time.time() * 1e6))
                    yield batch
                self._streams.popleft()
        finally:
            keeping.cancel()
            for stream in self._streams:
                stream.close()
            self._streams.clear()

    async def _keep_open(self) -> None:
        """Keeps a connection open, the newest of `_streams`. Those before it are lost, and not yet drained.

        The next one is opened before what came over the last is taken in, which may take seconds.
        """
        while True:
            stream = await self._connected()
            self._streams.append(stream)
            self._came.set()
            self._newest = stream
            self._on_listening()
            await stream.until_lost(self._pace.ping)
            fault = stream.fault
            log.warning("events.cut", error="closed by the broker" if fault is None else for_log(fault))
            self._on_cut()
            self._room.clear()
            if self.buffered > self._most_buffered:
                await self._room.wait()

    async def _connected(self) -> _Stream:
        failures = 0
        while True:
            try:
                return await self._connect()
            except (OSError, TimeoutError, Refused) as error:
                failures += 1
                seconds = RETRY.after(failures)
                log.warning("events.connect_failed", error=for_log(error), retry_seconds=seconds)
                await asyncio.sleep(seconds)

    async def _connect(self) -> _Stream:
        broker = self._source.broker
        async with asyncio.timeout(CONNECT_SECONDS):
            stream = await self._opened(broker)
            try:
                if broker.password:
                    who = [broker.user] if broker.user else []
                    await stream.ask("AUTH", *who, broker.password)
                await stream.ask("CLIENT", "SETNAME", "celeriac-monitor")
                await stream.ask("PSUBSCRIBE", *self._source.event_patterns, answers=2)
            except BaseException:
                stream.close()
                raise
            return stream

    async def _opened(self, broker: BrokerAddress) -> _Stream:
        loop = asyncio.get_running_loop()

        def new() -> _Stream:
            return _Stream(self._most_buffered)

        if broker.path:
            _, stream = await loop.create_unix_connection(new, broker.path)
        else:
            _, stream = await loop.create_connection(new, broker.host, broker.port, ssl=broker.tls_context())
        return stream


class _Stream(asyncio.Protocol):
    """One connection: parses data as soon as it arrives, and keeps messages until they are taken."""

    def __init__(self, most_buffered: int) -> None:
        self._reader = hiredis.Reader()
        self._messages: deque[bytes] = deque()
        self._answers: asyncio.Queue[object] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self._most_buffered = most_buffered
        self._paused = self._silent = False
        self._lost = asyncio.Event()
        self.buffered = 0
        # When something last came, and when all that had come was taken, in seconds since 1970.
        self.heard_at = self._emptied_at = time.time()
        self.fault: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._silent = False
        self.heard_at = time.time()
        try:
            for start in range(0, len(data), PARSED_AT_ONCE):
                self._reader.feed(data, start, min(PARSED_AT_ONCE, len(data) - start))
                self._take_replies()
        except hiredis.ProtocolError as error:
            self.fault = error
            self._transport.abort()
        if self.buffered > self._most_buffered and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._arrived.set()

    def _take_replies(self) -> None:
        gets, put = self._reader.gets, self._messages.append
        while (reply := gets()) is not False:
            if type(reply) is list and reply and reply[0] == b"pmessage":
                message = reply[3]
                put(message)
                self.buffered += len(message)
            elif type(reply) is not list or reply[0] != b"pong":
                self._answers.put_nowait(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.fault = self.fault or error
        self._lost.set()
        self._answers.put_nowait(ConnectionError(str(error or "closed by the broker")))
        self._arrived.set()

    async def ask(self, *command: str, answers: int = 1) -> None:
        self._write(*command)
        for _ in range(answers):
            answer = await self._answers.get()
            if isinstance(answer, ConnectionError):
                raise answer
            if isinstance(answer, Exception):
                said = str(answer).partition(", with args beginning with")[0]
                raise Refused(f"{command[0]}: {said}")

    def _write(self, *command: str) -> None:
        packed: bytes = hiredis.pack_command(cast("Any", command))
        self._transport.write(packed)

    async def take(self) -> Sequence[bytes]:
        """Returns the oldest waiting messages; an empty list once the connection is lost and none is left."""
        while not self._messages and not self._lost.is_set():
            self._arrived.clear()
            await self._arrived.wait()
        batch = [self._messages.popleft() for _ in range(min(BATCH, len(self._messages)))]
        self.buffered -= sum(map(len, batch))
        if not self._messages:
            self._emptied_at = self.heard_at
        if self._paused and self.buffered < self._most_buffered // 2 and not self._lost.is_set():
            self._paused = False
            self._transport.resume_reading()
        return batch

    @property
    def waiting(self) -> int:
        """Messages that wait to be taken."""
        return len(self._messages)

    @property
    def taken_until(self) -> float:
        return self._emptied_at if self._messages else self.heard_at

    async def until_lost(self, seconds: float) -> None:
        """Waits until the connection is lost; ends it if nothing arrives from one ping to the next."""
        while not self._lost.is_set():
            self._silent = True
            self._write("PING")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._lost.wait()
            if self._silent and not self._paused and not self._lost.is_set():
                self.fault = TimeoutError(f"silent for {seconds:g} s")
                self._transport.abort()
                await self._lost.wait()

    def close(self) -> None:
        self._transport.abort()


def _escaped(text: str) -> str:
    """Returns the text as a glob pattern that matches the text alone."""
    return "".join(f"\\{character}" if character in "*?[]^\\" else character for character in text)
