"""The ranking of groups in Redis: computed whole once for each state of the groups, and read by all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import orjson
import redis.asyncio
import structlog
from redis.exceptions import RedisError

from services.embedder.insights.store_questions import AnalysisState, QuestionStore, ShownCluster
from services.kernel.sessions import Sessions

log = structlog.get_logger(__name__)

KEY = "celeriac:questions:"
KEPT_SECONDS = 86_400
# What is computed ahead: (days, periods).
WARMED = ((1, 2), (7, 2), (30, 2), (7, 8))


class Rankings:
    """All groups with their counts, from Redis if they are there, else from the database.

    The key has the revision of the groups and the day, so an answer that is out of date is never found.
    """

    def __init__(self, sessions: Sessions, client: redis.asyncio.Redis, prefix: str, zone: str) -> None:
        """`prefix` goes before each key: that of the queues, where the broker is shared."""
        self._sessions = sessions
        self._client = client
        self._prefix = prefix + KEY
        self._zone = zone

    async def get(self, days: int, periods: int) -> tuple[AnalysisState | None, list[ShownCluster]]:
        """Returns the state of the last analysis, and its groups; None and none before the first."""
        async with self._sessions.reading() as session:
            store = QuestionStore(session)
            state = await store.state(self._zone)
            if state is None:
                return None, []
            key = self._key(state, days, periods)
            if (known := await self._read(key)) is not None:
                return state, known
            found = await store.clusters(state.today, days, periods)
        await self._write(key, found)
        return state, found

    async def warm(self) -> int:
        """Computes what is asked most often. Returns how many answers are ready."""
        for days, periods in WARMED:
            await self.get(days, periods)
        return len(WARMED)

    async def clean(self) -> int:
        """Deletes answers that are out of date, before they end by themselves. Returns how many."""
        async with self._sessions.reading() as session:
            state = await QuestionStore(session).state(self._zone)
        current = f"{self._prefix}{_version(state)}:" if state else "?"
        # Redis reads the prefix as a pattern; a queue's prefix has letters, digits, dots and hyphens alone.
        keys = [key async for key in self._client.scan_iter(match=f"{self._prefix}*", count=500)]
        old = [key for key in keys if not key.decode().startswith(current)]
        return int(await self._client.delete(*old)) if old else 0

    def _key(self, state: AnalysisState, days: int, periods: int) -> str:
        return f"{self._prefix}{_version(state)}:{days}:{periods}"

    async def _read(self, key: str) -> list[ShownCluster] | None:
        try:
            kept = await self._client.get(key)
        except RedisError:
            log.warning("questions.cache_away", exc_info=True)
            return None
        return [_from_json(each) for each in orjson.loads(kept)] if kept else None

    async def _write(self, key: str, found: Sequence[ShownCluster]) -> None:
        try:
            await self._client.set(key, orjson.dumps(list(found)), ex=KEPT_SECONDS)
        except RedisError:
            log.warning("questions.cache_away", exc_info=True)


def _version(state: AnalysisState) -> str:
    # The time tells the revisions of two databases apart that were at one broker, one after the other.
    return f"{state.analysed_at.timestamp():.6f}:{state.revision}:{state.today}"


def _from_json(kept: dict[str, Any]) -> ShownCluster:
    return ShownCluster(**{**kept, "first_seen_at": dt.datetime.fromisoformat(kept["first_seen_at"])})
