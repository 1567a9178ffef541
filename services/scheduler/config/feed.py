"""Streams changes of the live configuration to its readers as soon as they are committed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition
from services.kernel.live_keys import key_named
from services.kernel.live_settings import LiveSettings, Told
from services.kernel.loops import Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.scheduler.config.in_force import Place, Setting, all_settings, setting_of
from services.scheduler.config.store_config import CHANNEL, ConfigStore
from services.scheduler.pace import USUAL, Pace


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
        self._noticed = asyncio.Condition()
        self._notices = 0

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """None: a notice only shortens a wait, and there may be none for months."""
        return ()

    async def run(self) -> None:
        """The background loop that takes notices. Without it, news wait for the next sign of life."""
        async with self._database.listening(CHANNEL) as notices:
            async for _ in notices:
                async with self._noticed:
                    self._notices += 1
                    self._noticed.notify_all()

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
            if news.settings or news.complete or now - told_at >= self._pace.config_life:
                yield news
                told_at = now
            place = news.place
            await self._notice_after(seen)

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

    async def _notice_after(self, seen: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pace.config_life), self._noticed:
                await self._noticed.wait_for(lambda: self._notices != seen)

    async def _look(self, place: Place | None) -> News:
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
