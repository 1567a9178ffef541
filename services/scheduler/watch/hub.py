"""Distributes changes to the readers of WatchSchedules. The log of changes is read once for all of them.

A reader that resumes from a cursor first reads the log on its own, at its own pace, until it has caught up;
then it joins the others. While there are no readers, the log is not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from itertools import chain, islice
from typing import Generic, TypeVar

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.kernel.database import Database
from services.kernel.errors import CeleriacError, Unavailable
from services.kernel.loops import UNTIL_WOKEN, Again, Backoff, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.readers import Audience, JoiningReader, Skipped
from services.scheduler.catalogue.store_listing import ScheduleFilter
from services.scheduler.dispatch.turns import Turns
from services.scheduler.pace import USUAL, Pace
from services.scheduler.watch.changes import Change, Event, LeftOut, Wanted, part_for, size_of
from services.scheduler.watch.cursor import Cursor
from services.scheduler.watch.log import ChangeLog, Look, Page, expired
from services.scheduler.watch.store_changes import CHANNEL

log = structlog.get_logger(__name__)

Message = TypeVar("Message")
# Makes the message of an event. None makes a sign of life, which has a cursor only.
Tell = Callable[[Event | LeftOut | None, Cursor], Message]

# The most changes that may wait for a reader. Each schedule, run or backfill counts as one.
BUFFER = 20_000
# Messages made in advance for a reader that catches up.
AT_A_TIME = 20
# Commits that come within this time are read from the log together.
COALESCE_SECONDS = 0.02
# Watching must not take the process's time from dispatching. After each read of the log it pauses for REST
# times as long as the read took. One read looks up at most about MOST_LOOKED_UP changes for each filter; of
# a larger backlog, readers of all schedules get only the number of changes.
REST = 4
MOST_LOOKED_UP = 20_000


class Reader(JoiningReader[Message, Wanted, Cursor]):
    """One reader, and how far it was handed changes."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        super().__init__(wanted, most)
        # The reader was handed all changes up to this cursor. It differs between readers for a moment, as
        # groups get their parts of a page one after the other.
        self.handed: Cursor | None = None


class Watching(Generic[Message]):
    """All readers of WatchSchedules in this process.

    Readers of all schedules share one message for each change; it is made only if one of them takes it.
    """

    def __init__(
        self,
        database: Database,
        tell: Tell[Message],
        registry: CollectorRegistry | None = None,
        buffer: int = BUFFER,
        turns: Turns | None = None,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._turns = turns or Turns()
        self._log = ChangeLog(database, self._turns)
        self._tell = tell
        self._pace = pace
        self._audience: Audience[Reader[Message], Wanted, Cursor] = Audience(
            lambda wanted: Reader[Message](wanted, buffer)
        )
        # The log has been read for all readers up to this cursor.
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
            woken=self._audience.woken,
        )
        self._left_out = prometheus_client.Counter(
            "celeriac_scheduler_watch_left_out",
            "Changes that were left out of WatchSchedules, over all readers",
            registry=registry,
        )

    @property
    def readers(self) -> int:
        """The number of readers now."""
        return len(self._audience)

    async def _follow_if_watched(self) -> Again:
        try:
            if self._audience:
                await self._follow()
        except* DATABASE_ERRORS:
            self._audience.fail(Unavailable("the database"))
            raise
        except* CeleriacError:
            # The database is another than it was: a failover that the connections survived.
            self._audience.fail(expired())
        return UNTIL_WOKEN

    async def watch(self, wanted: Wanted, cursor: Cursor | None) -> AsyncGenerator[Message, None]:
        """Yields what changes after the cursor (None: from now on), without end; the first message at once.

        Raises `FailedPrecondition` when the log no longer has all that comes after the cursor, and
        `Unavailable` when the database fails while the reader is being handed changes.
        """
        if cursor is not None:
            head = await self._log.head()
            if not head.has_all_after(cursor):
                raise expired()
            yield self._tell(None, cursor)
            async for page in self._log.pages(cursor, wanted, None):
                async for message in self._messages(page, wanted):
                    yield message
                cursor = page.cursor
        async with self._audience.joined(wanted) as (reader, start):
            if cursor is None:
                yield self._tell(None, start)
            else:
                async for page in self._log.pages(cursor, wanted, start.seen):
                    async for message in self._messages(page, wanted):
                        yield message
            while True:
                news = await reader.next(self._pace.watch_life)
                # When nothing is waiting, the reader has got everything up to `handed`.
                now = reader.handed or start
                match news:
                    case None:
                        yield self._tell(None, now)
                    case Skipped(count):
                        yield self._tell(LeftOut(count), now)
                    case _:
                        yield news

    async def _follow(self) -> None:
        """Reads the log at each notice, and once in `watch_look` seconds, while there are readers."""
        self._cursor = None
        async with self._database.listening(CHANNEL) as notices, asyncio.TaskGroup() as group:
            waker = group.create_task(self._audience.wake_by(notices))
            while self._audience:
                self._audience.woken.clear()
                begun = time.monotonic()
                await self._look()
                self.loop.heartbeat.succeeded()
                rest = max(COALESCE_SECONDS, REST * (time.monotonic() - begun))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.watch_look):
                        await self._audience.woken.wait()
                    await asyncio.sleep(rest)
            waker.cancel()

    async def _look(self) -> None:
        """Hands new changes to the readers, then lets those join that were waiting when it began."""
        joining = list(self._audience.joining)
        if self._cursor is None:
            self._cursor = (await self._log.head()).cursor
        else:
            self._cursor = await self._hand_on_after(self._cursor)
        for reader in joining:
            reader.handed = self._cursor
            self._audience.admit(reader, self._cursor)

    async def _hand_on_after(self, cursor: Cursor) -> Cursor:
        """Hands on all changes after the cursor, to a group of readers for each filter.

        Returns the cursor after them.
        """
        ended, looked_up = False, Counter[ScheduleFilter]()
        while not ended:
            groups: dict[ScheduleFilter, list[Reader[Message]]] = {}
            for reader in self._audience.readers:
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
                    # A message of a thousand runs takes ten milliseconds; dispatching may run in between.
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

    async def _messages(self, page: Page, wanted: Wanted) -> AsyncIterator[Message]:
        """Yields the messages of a page for a reader that catches up, making AT_A_TIME of them at once."""
        parts = ((part_for(wanted, change.event), change.cursor) for change in chain(*page.changes))
        told = (self._tell(event, cursor) for event, cursor in parts if event is not None)
        ended = False
        while not ended:
            messages: list[Message] = []
            some = map(messages.append, islice(told, AT_A_TIME))
            await self._turns.run(some)
            for message in messages:
                yield message
            ended = len(messages) < AT_A_TIME


def look_for(group: Sequence[Reader[Message]], matching: ScheduleFilter, *, in_full: bool) -> Look:
    """Returns what must be looked up for a group of readers, all with the filter `matching`.

    Looked up are the changes for readers of named schedules and, if `in_full`, for all readers with room.
    `sizes` is set when the runs of batches must also be counted, to tell the other readers how many they
    missed.
    """
    receivers = [reader for reader in group if reader.wanted.names or (in_full and reader.has_room)]
    if all(reader.wanted.names for reader in receivers):
        names = frozenset().union(*(reader.wanted.names for reader in receivers))
    else:
        names = frozenset()
    schedules = any(reader.wanted.schedules for reader in receivers)
    runs = any(reader.wanted.runs for reader in receivers)
    backfills = any(reader.wanted.backfills for reader in receivers)
    counting = any(reader.wanted.runs and not reader.wanted.names for reader in group)
    wanted = Wanted(names, schedules, runs, backfills, matching)
    return Look(wanted, sizes=counting and bool(names or not runs))
