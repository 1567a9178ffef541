"""Streams changes of the live configuration to its readers as soon as they are committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition
from services.kernel.live_keys import key_named
from services.kernel.live_settings import LiveSettings, Told
from services.kernel.loops import SLACK, Heartbeat, Loop, rest
from services.kernel.outages import DATABASE_ERRORS
from services.scheduler.config.in_force import Place, Setting, all_settings, setting_of
from services.scheduler.config.store_config import CHANNEL, ConfigStore
from services.scheduler.pace import USUAL, Pace

# For so long, a look that found nothing new serves other readers at the same place, too.
SHARED_SECONDS = 0.5


@dataclass(frozen=True)
class News:
    """Settings in force at a place: all of them when `complete`, else those that changed."""

    settings: Sequence[Setting]
    place: Place
    complete: bool


def expired() -> FailedPrecondition:
    return FailedPrecondition(
        "CURSOR_EXPIRED",
        "the database was restored or failed over since the message with this cursor; watch without a cursor,"
        " and when the first message has come, replace all that you know by the keys in it",
    )


class ConfigFeed:
    """The live configuration as a stream, for any number of readers."""

    def __init__(self, database: Database, pace: Pace = USUAL) -> None:
        self._database = database
        self._pace = pace
        # Set and replaced at each notice.
        self._noticed = asyncio.Event()
        self._notices = 0
        self._looking = asyncio.Lock()
        # What the last look found to be the newest place, after how many notices, and when it began.
        self._found: tuple[Place, int, float] | None = None

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """None: a notice only shortens a wait, and there may be none for months."""
        return ()

    async def run(self) -> None:
        """The background loop that takes notices. Without it, news wait for the next sign of life."""
        async with self._database.listening(CHANNEL) as notices:
            async for _ in notices:
                self._notices += 1
                self._noticed.set()
                self._noticed = asyncio.Event()

    async def after(self, place: Place | None) -> AsyncGenerator[News, None]:
        """Yields what changed after the place, then each later change; never ends.

        Without a place, all settings come first. The first news come at once; news without settings are signs
        of life. Raises `FailedPrecondition` when the place is not in the present database.
        """
        told_at = float("-inf")
        while True:
            # Read before the look: if the look misses a change, the notice of that change is counted later.
            seen = self._notices
            news = await self._look(place)
            now = asyncio.get_running_loop().time()
            if news.settings or news.complete or now - told_at >= self._pace.config_life * (1 - SLACK):
                yield news
                told_at = now
            place = news.place
            if self._notices == seen:
                # The rests of all readers end together, and one look then serves all.
                await rest(self._pace.config_life, woken=self._noticed)

    def keeping(self, live: LiveSettings) -> Loop:
        """The loop that keeps the scheduler's own live settings, which need no call."""

        async def keep() -> None:
            async for news in self.after(None):
                told = [Told(one.key.name, one.value if one.is_set else None) for one in news.settings]
                live.take(told, news.place.revision, complete=news.complete)
                loop.heartbeat.succeeded()

        loop = Loop(
            "config",
            keep,
            every=self._pace.config_read_again,
            outlives=(*DATABASE_ERRORS, FailedPrecondition),
            failed="config.not_read",
        )
        return loop

    async def _look(self, place: Place | None) -> News:
        async with self._looking:
            seen, now = self._notices, time.monotonic()
            if self._found is not None and place is not None:
                newest, notices, at = self._found
                if (newest, notices) == (place, seen) and now - at < SHARED_SECONDS:
                    return News([], place, complete=False)
            news = await self._read(place)
            self._found = news.place, seen, now
            return news

    async def _read(self, place: Place | None) -> News:
        async with self._database.reading() as connection:
            store = ConfigStore(connection)
            newest = await store.newest()
            if place is None:
                return News(all_settings(await store.all()), newest, complete=True)
            if place.origin != newest.origin or place.revision > newest.revision:
                raise expired()
            changed = await store.changed_after(place.revision)
        keys = [(key, stored) for stored in changed if (key := key_named(stored.key)) is not None]
        return News([setting_of(key, stored) for key, stored in keys], newest, complete=False)
