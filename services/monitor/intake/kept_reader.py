"""Reads the stream that the relay keeps (kept_events.py), from the place up to which rows are written.

It is used as `Subscription` is, without knowing which: both give batches of the broker's messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

import structlog
from redis.exceptions import RedisError

from services.kernel.logged_errors import for_log
from services.kernel.loops import Backoff, Heartbeat, Loop
from services.monitor.intake.kept_events import (
    BEGINNING,
    Entry,
    Fields,
    Gap,
    KeptStream,
    Place,
    position_of,
)
from services.monitor.intake.seen_gaps import GapCause, SeenGap, SeenGaps
from services.monitor.pace import USUAL, Pace
from services.monitor.totals.ledger import Position

log = structlog.get_logger(__name__)

# Entries of one read.
READ = 8
# A read waits so long for new entries. Without any, it is asked whether the relay is alive.
BLOCK_SECONDS = 2.0
# A relay that has not said for so long that it listens is taken for dead.
SILENT_SECONDS = 10.0
RETRY = Backoff(0.05, 2.0)
LAST_SECONDS = 2.0


class KeptEvents:
    """Reads while `batches` is iterated.

    `on_listening` and `on_deaf` are called when it is known that the relay listens, and that it doesn't or
    can't be asked. `on_gap` gets the seconds in which the relay heard nothing, `on_missing` the number of
    messages that were dropped from the stream, or lost with it, before they could be read. `seen` gets all
    of these as gaps to be recorded.
    """

    def __init__(
        self,
        stream: KeptStream,
        *,
        on_listening: Callable[[], None],
        on_deaf: Callable[[], None],
        on_gap: Callable[[Gap], None],
        on_missing: Callable[[int], None],
        seen: SeenGaps | None = None,
        pace: Pace = USUAL,
    ) -> None:
        self._stream = stream
        self._seen = SeenGaps() if seen is None else seen
        self._on_listening, self._on_deaf = on_listening, on_deaf
        self._on_gap, self._on_missing = on_gap, on_missing
        self._listening = False
        # Whether little was to be read at the last look, and whether nothing was read before this process.
        self.caught_up = self._anew = False
        # Whether what is missing was dropped from a full stream, or else is lost with its server.
        self._has_dropped = False
        self._place: Place | None = None
        # Places that were read, each with the time (time.monotonic()) after its events were taken in.
        self._read: deque[tuple[float, Place]] = deque()
        # The newest place that all rows before are known to be written, and what of it was noted.
        self._written = Place(BEGINNING, {})
        self._to_note = self._noted = b""
        self.position: Position = (0, 0)
        # Seconds since the relay added the messages of the last batch to the stream.
        self.age = 0.0
        self._noting = Loop(
            "event_place",
            self._note,
            every=pace.place_note,
            outlives=(RedisError, OSError),
            failed="events.place_not_noted",
        )

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return self._noting.heartbeats

    async def run(self) -> None:
        """Notes again and again up to where all rows are written, as `note` was told."""
        await self._noting.run()

    def written_before(self, since: float | None) -> str:
        """Returns the newest place of which all was taken in before that moment (time.monotonic()).

        None: all that was taken in.
        """
        while self._read and (since is None or self._read[0][0] < since):
            self._written = self._read.popleft()[1]
        return self._written.dump().decode()

    def taken_in_until(self, written_to: str) -> float:
        """Returns the moment (time.monotonic()) until which only what is before the place was taken in."""
        if not written_to.startswith("{"):
            return 0.0  # of a monitor without a relay
        place = Place.load(written_to.encode())
        until = 0.0
        while self._read and position_of(self._read[0][1].id) <= position_of(place.id):
            until, self._written = self._read.popleft()
        has_read_all = (0, 0) < self.position <= position_of(place.id)
        return time.monotonic() if has_read_all else until

    def note(self, written_to: str) -> None:
        """Has the place noted, for the relay and for monitors that start: all rows before it are written."""
        self._to_note = written_to.encode()

    async def _note(self) -> None:
        note = self._to_note
        if note != self._noted and Place.load(note).id != BEGINNING:
            await self._stream.note(note)
            self._noted = note

    async def note_last(self) -> None:
        """Notes it at the end of the process. Without it the next reader reads a little again."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self._note()

    async def batches(self) -> AsyncGenerator[Sequence[bytes], None]:
        """Yields messages in the order in which they were heard, those of one entry at once. Never ends.

        `position` tells which entry that is, and what is told of it was told before. It may have none.
        """
        failures = 0
        while True:
            try:
                entries = await self._next()
            except (RedisError, OSError) as error:
                self._hears(False)
                failures += 1
                seconds = RETRY.after(failures)
                log.warning("events.read_failed", error=for_log(error), retry_seconds=seconds)
                await asyncio.sleep(seconds)
                continue
            failures = 0
            for entry in entries:
                if messages := self._taken(entry):
                    self.age = max(0.0, time.time() - entry.added_at)
                self._pass(entry)
                place = self._place_now().copy()
                yield messages
                self._read.append((time.monotonic(), place))

    async def _next(self) -> Sequence[Entry]:
        """Returns the next entries; none if there are none for a while."""
        if self._place is None:
            noted = await self._stream.noted()
            self._place, self._anew = noted or Place(BEGINNING, {}), noted is None
        found = await self._stream.read(self._place.id, READ, BLOCK_SECONDS)
        self.caught_up = len(found) < READ
        if not found:
            alive = await self._stream.alive()
            self._hears(alive is not None and time.time() - alive < SILENT_SECONDS)
            return []
        self._hears(True)
        entries = [entry for entry_id, fields in found if (entry := self._entry(entry_id, fields))]
        place = self._place.copy()
        if sum(place.pass_over(entry) for entry in entries):
            await self._skip_what_is_written()
            self._has_dropped = await self._stream.has_dropped()
        return entries

    async def _skip_what_is_written(self) -> None:
        """What is missing may have been written by another monitor, and then dropped from the stream."""
        noted, place = await self._stream.noted(), self._place_now()
        if noted is not None and position_of(noted.id) > position_of(place.id):
            for relay, first in noted.expected.items():
                place.expected[relay] = max(first, place.expected.get(relay, 0))

    def _entry(self, entry_id: bytes, fields: Fields) -> Entry | None:
        try:
            return Entry.read(entry_id, fields)
        except ValueError:
            log.warning("events.entry_unreadable", entry=entry_id.decode())
            self._place_now().id = entry_id.decode()
            return None

    def _place_now(self) -> Place:
        assert self._place is not None
        return self._place

    def _taken(self, entry: Entry) -> Sequence[bytes]:
        return () if self._place_now().had(entry) else entry.messages

    def _pass(self, entry: Entry) -> None:
        assert self._place is not None
        before = self._place.copy()
        self.position = position_of(entry.id)
        if missing := self._place.pass_over(entry):
            log.error("events.missing", messages=missing, before=entry.id)
            self._on_missing(missing)
            cause = GapCause.STREAM_FULL if self._has_dropped else GapCause.STREAM_LOST
            self._seen.put(SeenGap(cause, before.read_at, entry.added_at, missing))
        elif self._place.forgotten:
            log.error("events.stream_lost", before=entry.id)
            self._seen.put(SeenGap(GapCause.STREAM_LOST, before.read_at, entry.added_at))
        if entry.gap is not None:
            log.warning("events.gap", seconds=round(entry.gap.until - entry.gap.since, 3))
            self._on_gap(entry.gap)
            self._seen.put(SeenGap(GapCause.RELAY_CUT, entry.gap.since, entry.gap.until))

    @property
    def taken_until(self) -> float:
        """Up to when all that the relay heard was read, in seconds since 1970; 0 if that is not known."""
        if self._listening and self.caught_up:
            return time.time()
        return self._place.read_at if self._place else 0.0

    @property
    def begins_anew(self) -> bool:
        """Whether the stream's server knew of no monitor that had read before this one."""
        return self._anew

    def _hears(self, listening: bool) -> None:
        if listening and not self._listening:
            self._on_listening()
        elif self._listening and not listening:
            self._on_deaf()
        self._listening = listening
