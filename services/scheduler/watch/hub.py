"""Hands what changes to everyone who watches: the log of changes is read once for all of them.

A reader that takes up a stream reads the log by itself, at its own pace, until it is at the present; then it
joins the others. While nobody watches, nothing runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Generic, TypeVar

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.kernel import readers
from services.kernel.database import DATABASE_ERRORS, Database
from services.kernel.errors import CeleriacError, Unavailable
from services.kernel.loops import UNTIL_WOKEN, Again, Backoff, Loop
from services.kernel.readers import Skipped
from services.scheduler.catalogue.store_listing import ScheduleFilter
from services.scheduler.pace import USUAL, Pace
from services.scheduler.watch.changes import Change, Event, LeftOut, Wanted, part_for, size_of
from services.scheduler.watch.cursor import Cursor
from services.scheduler.watch.log import ChangeLog, Look, Page, expired
from services.scheduler.watch.store_changes import CHANNEL

log = structlog.get_logger(__name__)

Message = TypeVar("Message")
# None: a sign of life.
Tell = Callable[[Event | LeftOut | None, Cursor], Message]

# Changes that may wait for a reader, a schedule, a run or a backfill each.
BUFFER = 20_000
# Several commits of one moment are one look at the log.
COALESCE_SECONDS = 0.02
# The process has more to do than to tell: it rests so many times as long as a look took, and of what has come
# meanwhile it looks up no more than this. A backlog that is drained is counted for those who watch all of it.
REST = 4
MOST_LOOKED_UP = 20_000


class Reader(readers.Reader[Message]):
    """One who watches, from `joined` on."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        super().__init__(most)
        self.wanted = wanted
        # All up to there: each group of readers is handed its own part of a page after the other.
        self.handed: Cursor | None = None
        self.joined: asyncio.Future[Cursor] = asyncio.get_running_loop().create_future()
        self._failed: CeleriacError | None = None

    def fail(self, error: CeleriacError) -> None:
        """It is told so, and may take up the stream again with its cursor."""
        if not self.joined.done():
            self.joined.set_exception(error)
            # Whoever gave up meanwhile does not ask for it.
            self.joined.exception()
        self._failed = error
        self._news.set()

    def _take(self) -> Message | Skipped | None:
        if self._failed is not None:
            raise self._failed
        return super()._take()


class Watching(Generic[Message]):
    """Everyone who watches. Each change is made into a message once, and only if someone takes it."""

    def __init__(
        self,
        database: Database,
        tell: Tell[Message],
        registry: CollectorRegistry | None = None,
        buffer: int = BUFFER,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._log = ChangeLog(database)
        self._tell = tell
        self._buffer = buffer
        self._pace = pace
        self._readers: set[Reader[Message]] = set()
        self._joining: set[Reader[Message]] = set()
        self._woken = asyncio.Event()
        # Up to where the log was read for all.
        self._cursor: Cursor | None = None
        watchers = Gauge("celeriac_scheduler_watchers", "Readers of WatchSchedules", registry=registry)
        watchers.set_function(lambda: self.readers)
        # Without it nobody is handed anything.
        self.loop = Loop(
            "watch",
            self._follow_if_watched,
            every=0,
            outlives=DATABASE_ERRORS,
            failed="watch.failed",
            retry=Backoff(pace.watch_retry, pace.watch_retry),
            woken=self._woken,
        )
        self._left_out = prometheus_client.Counter(
            "celeriac_scheduler_watch_left_out",
            "Changes that were left out of WatchSchedules, over all readers",
            registry=registry,
        )

    @property
    def readers(self) -> int:
        """How many watch now."""
        return len(self._readers) + len(self._joining)

    async def _follow_if_watched(self) -> Again:
        try:
            if self.readers:
                await self._follow()
        except* DATABASE_ERRORS:
            self._fail(Unavailable("the database"))
            raise
        except* CeleriacError:
            # The database is another than it was: a failover that the connections survived.
            self._fail(expired())
        return UNTIL_WOKEN

    async def watch(self, wanted: Wanted, cursor: Cursor | None) -> AsyncGenerator[Message, None]:
        """What changes after the cursor (None: from now on); never ends. The first message is at once."""
        if cursor is not None:
            head = await self._log.head()
            if not head.has_all_after(cursor):
                raise expired()
            yield self._tell(None, cursor)
            async for page in self._log.pages(cursor, wanted, None):
                for message in self._messages(page, wanted):
                    yield message
                cursor = page.cursor
        async with self._joined(wanted) as (reader, start):
            if cursor is None:
                yield self._tell(None, start)
            else:
                async for page in self._log.pages(cursor, wanted, start.seen):
                    for message in self._messages(page, wanted):
                        yield message
            while True:
                news = await reader.next(self._pace.watch_life)
                # Without news, it has been handed all that there was.
                now = reader.handed or start
                match news:
                    case None:
                        yield self._tell(None, now)
                    case Skipped(count):
                        yield self._tell(LeftOut(count), now)
                    case _:
                        yield news

    @asynccontextmanager
    async def _joined(self, wanted: Wanted) -> AsyncIterator[tuple[Reader[Message], Cursor]]:
        """A reader, and the cursor from which on it is handed everything: a moment of after the call."""
        reader = Reader[Message](wanted, self._buffer)
        self._joining.add(reader)
        self._woken.set()
        try:
            yield reader, await reader.joined
        finally:
            self._joining.discard(reader)
            self._readers.discard(reader)

    async def _follow(self) -> None:
        """For as long as somebody watches."""
        self._cursor = None
        async with self._database.listening(CHANNEL) as notices, asyncio.TaskGroup() as group:
            waker = group.create_task(self._wake_by(notices))
            while self.readers:
                self._woken.clear()
                begun = time.monotonic()
                await self._look()
                self.loop.heartbeat.succeeded()
                rest = max(COALESCE_SECONDS, REST * (time.monotonic() - begun))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._pace.watch_look)
                    await asyncio.sleep(rest)
            waker.cancel()

    async def _wake_by(self, notices: AsyncIterator[str]) -> None:
        async for _ in notices:
            self._woken.set()

    async def _look(self) -> None:
        """Hands on what is new; those who wanted to join have joined."""
        joining = list(self._joining)
        if self._cursor is None:
            self._cursor = (await self._log.head()).cursor
        else:
            self._cursor = await self._hand_on_after(self._cursor)
        for reader in self._joining.intersection(joining):
            self._joining.discard(reader)
            if not reader.joined.cancelled():
                self._readers.add(reader)
                reader.handed = self._cursor
                reader.joined.set_result(self._cursor)

    async def _hand_on_after(self, cursor: Cursor) -> Cursor:
        """What came after the cursor; who watches by the same filter is a group. Gives the cursor of now."""
        ended, looked_up = False, Counter[ScheduleFilter]()
        while not ended:
            groups: dict[ScheduleFilter, list[Reader[Message]]] = {}
            for reader in self._readers:
                groups.setdefault(reader.wanted.matching, []).append(reader)
            looks = [
                look_for(group, matching, in_full=looked_up[matching] < MOST_LOOKED_UP)
                for matching, group in groups.items()
            ]
            page = await self._log.page(cursor, looks, checked=False)
            for (matching, group), changes in zip(groups.items(), page.changes, strict=True):
                for change in changes:
                    self._hand_on(change, group)
                    looked_up[matching] += size_of(change.event) if change.event else 0
                    # A thousand runs are ten milliseconds, in which a due time may have come.
                    await asyncio.sleep(0)
            cursor, ended = page.cursor, page.ended
            for reader in chain(*groups.values()):
                reader.handed = cursor
        return cursor

    def _hand_on(self, change: Change, group: Sequence[Reader[Message]]) -> None:
        shared: Message | None = None
        for reader in group:
            reader.handed = change.cursor
            wanted = reader.wanted
            if not wanted.wants(change.kind):
                continue
            if wanted.names:
                event = part_for(wanted, change.event)
                if event is None:
                    continue
                if not reader.has_room:
                    self._skip(reader, size_of(event))
                else:
                    reader.put(self._tell(event, change.cursor), size_of(event))
            elif change.event is None or not change.whole or not reader.has_room:
                self._skip(reader, change.size)
            else:
                shared = shared or self._tell(change.event, change.cursor)
                reader.put(shared, change.size)

    def _skip(self, reader: Reader[Message], size: int) -> None:
        reader.skip(size)
        self._left_out.inc(size)

    def _messages(self, page: Page, wanted: Wanted) -> Iterator[Message]:
        for change in chain(*page.changes):
            event = part_for(wanted, change.event)
            if event is not None:
                yield self._tell(event, change.cursor)

    def _fail(self, error: CeleriacError) -> None:
        for reader in self._readers | self._joining:
            reader.fail(error)
        self._readers.clear()
        self._joining.clear()


def look_for(group: Sequence[Reader[Message]], matching: ScheduleFilter, *, in_full: bool) -> Look:
    """What must be looked up for these, who watch by that filter: for those with room, if `in_full`, and for
    those who want little anyway.

    And whether of the rest the sizes are needed, to tell a reader without room how much it missed.
    """
    hungry = [reader for reader in group if reader.wanted.names or (in_full and reader.has_room)]
    if all(reader.wanted.names for reader in hungry):
        names = frozenset().union(*(reader.wanted.names for reader in hungry))
    else:
        names = frozenset()
    schedules = any(reader.wanted.schedules for reader in hungry)
    runs = any(reader.wanted.runs for reader in hungry)
    backfills = any(reader.wanted.backfills for reader in hungry)
    counting = any(reader.wanted.runs and not reader.wanted.names for reader in group)
    wanted = Wanted(names, schedules, runs, backfills, matching)
    return Look(wanted, sizes=counting and bool(names or not runs))
