"""The relay: a process that copies the broker's events into the stream that monitors read.

It does so little that it has no reason to be stopped, and keeps up where a monitor might not. While the
stream's server is away, messages wait in its own memory (Subscription), and after that in the broker's.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

from services.kernel.endings import to_the_end
from services.kernel.logged_errors import Loggable, for_log
from services.kernel.loops import Backoff, Heartbeat, Loop
from services.monitor.intake.events import opened
from services.monitor.intake.kept_events import Gap, KeptStream
from services.monitor.intake.subscription import BATCH, EventSource, Subscription
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

# After fewer messages than a full batch, so long is waited for more: an entry for each would be dear.
GATHERED_SECONDS = 0.02
RETRY = Backoff(0.05, 2.0)
# What is written is kept for so long: for a monitor that is a little behind the one that wrote it.
KEPT_SECONDS = 5.0
# How much of a stream that is full is kept.
KEPT_SHARE = 0.9


class NotListening(Loggable):
    """The relay hears no events now."""


class EventRelay:
    """Copies events for as long as `run` runs. `most_bytes`: of the stream; beyond it the oldest are lost."""

    def __init__(self, source: EventSource, stream: KeptStream, most_bytes: int, pace: Pace = USUAL) -> None:
        self.name = secrets.token_hex(8)
        # Messages copied by this process, and the times that it heard nothing.
        self.copied = self.gaps = 0
        self.listening = False
        self._stream = stream
        self._most_bytes = most_bytes
        self._deaf_since: float | None = None
        # Up to which entry monitors have written, when that was last looked at.
        self._written: str | None = None
        self._gaps: list[Gap] = []
        self._subscription = Subscription(source, on_listening=self._hears, on_cut=self._deaf, pace=pace)
        self._keeping = Loop(
            "event_relay",
            self._keep,
            every=pace.relay_keeping,
            outlives=(RedisError, OSError),
            failed="relay.keep_failed",
        )

    @property
    def buffered(self) -> int:
        """Bytes of messages that wait to be copied."""
        return self._subscription.buffered

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return self._keeping.heartbeats

    async def check(self) -> None:
        """Raises NotListening unless events are heard."""
        if not self.listening:
            raise NotListening("the subscription to the broker's events is not open")

    async def run(self) -> None:
        # When a relay last listened: from then on nothing was heard. None before the first relay.
        self._deaf_since = await _until_answered(self._stream.alive)
        async with asyncio.TaskGroup() as group:
            group.create_task(to_the_end(self._keeping.run()))
            async for batch in self._subscription.batches():
                await self._copy(batch)
                if len(batch) < BATCH:
                    await asyncio.sleep(GATHERED_SECONDS)

    def _hears(self) -> None:
        if self._deaf_since is not None:
            self._gaps.append(Gap(self._deaf_since, time.time()))
            self.gaps += 1
        self._deaf_since, self.listening = None, True

    def _deaf(self) -> None:
        # What was published after the last word came may be lost with the connection.
        self._deaf_since, self.listening = self._subscription.heard_until, False

    async def _copy(self, batch: Sequence[bytes]) -> None:
        await self._add_gaps()
        # Without the envelopes, which are half of the bytes.
        bodies = [opened(message) for message in batch]
        # Added twice when only the answer was lost: readers pass over the second.
        await _until_answered(partial(self._stream.add_messages, self.name, self.copied, bodies))
        self.copied += len(batch)

    async def _add_gaps(self) -> None:
        while self._gaps:
            gap = self._gaps.pop(0)
            await _until_answered(partial(self._stream.add_gap, self.name, self.copied, gap))

    async def _keep(self) -> None:
        """Says that this relay listens, and drops what has been read, or is too much."""
        if self.listening:
            await self._add_gaps()
        now = time.time()
        # What was written is dropped at the next look: a request of its own would wake an idle relay again.
        alive = now if self.listening else None
        noted, used = await self._stream.keep(alive, self._written, now - KEPT_SECONDS)
        self._written = noted.id if noted else None
        if used > self._most_bytes:
            # Room for what comes until the next look.
            entries = int(await self._stream.length() * self._most_bytes / used * KEPT_SHARE)
            await self._stream.drop_all_but(entries)
            log.warning("relay.stream_full", bytes=used, most_bytes=self._most_bytes, entries_kept=entries)


async def _until_answered(request: Callable[[], Awaitable[Answer]]) -> Answer:
    """Asks again for as long as the stream's server is away."""
    failures = 0
    while True:
        try:
            return await request()
        except (RedisError, OSError) as error:
            failures += 1
            seconds = RETRY.after(failures)
            log.warning("relay.stream_failed", error=for_log(error), retry_seconds=seconds)
            await asyncio.sleep(seconds)
