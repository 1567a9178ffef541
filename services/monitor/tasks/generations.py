"""Closes generations of tasks, and drops those that are too old, or too much.

To delete a million rows takes a minute, and leaves their space to be cleaned up; to drop their table takes
some milliseconds. So tasks are kept in generations, each in a table of its own: a day each, where tasks are
kept for 30 days, and at most about SHARES of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import structlog

from services.kernel.database import Database
from services.kernel.live_keys import TASKS_RETENTION
from services.kernel.live_settings import LiveSettings
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.store_generations import Generation, GenerationStore

log = structlog.get_logger(__name__)

# Of the time, and of the bytes, that tasks may take, a generation has this part.
SHARES, SHARES_OF_BYTES = 30, 16


class Generations:
    """Looks in its `loop`; of several monitors one does. `most_bytes`: of all tasks; None: no bound."""

    def __init__(
        self, database: Database, live: LiveSettings, most_bytes: int | None = None, pace: Pace = USUAL
    ) -> None:
        self._database = database
        self._live = live
        self._most_bytes = most_bytes
        # Bytes of all tasks at the last look; generations that this process dropped, by the reason; and up to
        # when tasks that it dropped for want of room had been heard of.
        self.bytes = 0
        self.dropped = {"age": 0, "room": 0}
        self._no_room_for: dt.datetime | None = None
        self.loop = Loop(
            "task_generations",
            self._look_once_known,
            every=pace.generations_look,
            outlives=DATABASE_ERRORS,
            failed="generations.failed",
        )

    @property
    def remark(self) -> str:
        """Says that tasks were dropped before their time; empty if none were."""
        if self._no_room_for is None:
            return ""
        return (
            f"tasks last heard of before {self._no_room_for:%Y-%m-%d %H:%M:%S}Z were dropped:"
            f" more than {self._most_bytes} bytes (CELERIAC_MONITOR_TASKS_BYTES)"
        )

    async def _look_once_known(self) -> Again | None:
        # Nothing is dropped before it is known how long tasks are to be kept.
        await self._live.first_contact()
        return Again(0) if await self.look(dt.datetime.now(dt.UTC)) else None

    async def look(self, now: dt.datetime) -> bool:
        """Closes or drops one generation, if one is due. Returns whether it did."""
        age = self._live.get(TASKS_RETENTION)
        async with self._database.transaction() as connection:
            store = GenerationStore(connection)
            if not await store.has_turn():
                return False
            generations = await store.all()
            self.bytes = sum(each.bytes for each in generations)
            oldest, written = generations[0], generations[-1]
            reason = self._reason_to_drop(oldest, now - age)
            if reason:
                await store.drop(oldest)
            elif self._is_full(written, now - age / SHARES) and not await store.is_empty():
                await store.close()
            else:
                return False
        if reason:
            self._tell(oldest, reason)
        else:
            log.info("generations.closed", generation=written.number, bytes=written.bytes)
        return True

    def _reason_to_drop(self, oldest: Generation, moment: dt.datetime) -> str:
        """`moment`: what was closed before then is too old. Returns an empty text if there is no reason."""
        if oldest.closed_at is None:
            return ""
        if oldest.closed_at < moment:
            return "age"
        return "room" if self._most_bytes and self.bytes + self._share > self._most_bytes else ""

    def _is_full(self, written: Generation, moment: dt.datetime) -> bool:
        """`moment`: what was begun before then is long enough."""
        return written.began_at < moment or bool(self._most_bytes and written.bytes > self._share)

    @property
    def _share(self) -> int:
        """The bytes that a generation may have; and those that are left free, for what comes until a look."""
        return (self._most_bytes or 0) // SHARES_OF_BYTES

    def _tell(self, dropped: Generation, reason: str) -> None:
        self.dropped[reason] += 1
        if reason == "room":
            self._no_room_for = dropped.closed_at
        say = log.warning if reason == "room" else log.info
        say(
            "generations.dropped",
            reason=reason,
            generation=dropped.number,
            closed_at=dropped.closed_at,
            bytes=dropped.bytes,
        )


def mixed(generations: Sequence[Generation], age: dt.timedelta, now: dt.datetime) -> Sequence[Generation]:
    """Returns those whose old tasks have to be deleted one by one.

    These are the one that is written, and others that are longer than a generation is now: those of before
    there were generations, or from a time when tasks were kept for longer.
    """
    return [
        each
        for each in generations
        if each.closed_at is None
        or (each.closed_at - each.oldest_at > 2 * age / SHARES and each.oldest_at < now - age)
    ]
