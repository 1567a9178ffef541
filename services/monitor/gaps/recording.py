"""Makes a record of each gap that this monitor has seen, and finds those that nobody saw.

- The intake sees when the relay, its stream or the subscription was cut (`intake/seen_gaps.py`).
- Without a relay, what is published while no monitor listens is missed. Each monitor notes up to when it has
  heard events; so one that starts knows since when nobody has. With a relay, the same tells since when events
  are missed if the server of the stream has lost what it kept.
- A worker counts the tasks that it starts. If fewer events of them have come, some were missed.

A gap that waits to be recorded holds back the place up to which the relay's stream counts as read: so it is
seen again after a restart, and recorded then.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping

import structlog

from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.figures import Figures
from services.monitor.gaps.store_gaps import GapStore, moment_of
from services.monitor.gaps.store_listeners import Listener, ListenerStore
from services.monitor.intake.intake import Intake
from services.monitor.intake.seen_gaps import GapCause, SeenGap
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# Another monitor that listens says so within so many intervals.
PATIENCE = 2.5
# With a relay it is said this often up to when events were heard: only a stream that was lost needs it.
KEPT_SECONDS = 30.0
# Workers tell their counts every few seconds, and a count is compared with events when the next one comes.
COUNTED_SECONDS = 10.0


class GapRecorder:
    """Records in its `loop`. `on_gap` is called after each gap that was recorded."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        figures: Figures,
        on_gap: Callable[[], None],
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._intake = intake
        self._figures = figures
        self._on_gap = on_gap
        self._every = pace.gaps_look
        self._me = uuid.uuid4()
        # The listeners before this one, when they were read, and since when this one listens; None: not yet.
        self._before: Mapping[uuid.UUID, Listener] | None = None
        self._read_at, self._since = 0.0, 0.0
        self._begun = False
        self._noted_at = -KEPT_SECONDS
        self._counts = Counts(time.time())
        self._missing_told = 0
        self.loop = Loop(
            "gap_recording",
            self._look,
            every=pace.gaps_look,
            outlives=DATABASE_ERRORS,
            woken=intake.seen_gaps.news,
            failed="gaps.not_recorded",
        )

    @property
    def told_losses(self) -> int:
        """How many of the losses that the figures count a record tells of."""
        return self._counts.told + self._missing_told

    async def _look(self) -> None:
        if not self._begun:
            await self._begin()
        missed = self._counts.look(self._figures.events_lost, time.time())
        if missed is not None:
            self._intake.seen_gaps.put(missed)
        self._figures.events_found_lost = max(self._figures.events_found_lost, self._counts.told)
        # Those that wait are recorded by the monitor that writes. It is known to have done so when it has
        # written what came after them.
        for gap in self._intake.seen_gaps.waiting() if self._intake.writes else ():
            await self._record(gap)
            self._intake.seen_gaps.recorded()
        now = time.monotonic()
        due = not self._intake.keeps or now - self._noted_at >= KEPT_SECONDS
        if due and self._begun and self._intake.heard_until:
            self._noted_at = now
            async with self._database.transaction() as connection:
                await ListenerStore(connection).note(self._me, moment_of(self._intake.heard_until))

    async def _record(self, seen: SeenGap) -> None:
        async with self._database.transaction() as connection:
            gap, new = await GapStore(connection).record(seen)
        if seen.cause in (GapCause.STREAM_FULL, GapCause.STREAM_LOST):
            self._missing_told += seen.missed or 0
        log.warning("gaps.recorded", gap=gap.id, cause=gap.cause.value, missed=gap.missed, new=new)
        self._figures.gaps_recorded += new
        self._on_gap()

    async def _begin(self) -> None:
        """Finds out whether anybody has listened until this monitor did."""
        if not self._figures.listening:
            return
        async with self._database.connection() as connection:
            listeners = await ListenerStore(connection).all()
        if self._before is None:
            self._before, self._read_at, self._since = listeners, time.monotonic(), time.time()
            if self._intake.keeps and not self._intake.begins_anew:
                self._begun = True  # the relay has listened
        if not self._begun:
            self._begun = await self._has_begun(self._before, listeners)
        if self._begun:
            async with self._database.transaction() as connection:
                await ListenerStore(connection).forget_old()

    async def _has_begun(
        self, before: Mapping[uuid.UUID, Listener], now: Mapping[uuid.UUID, Listener]
    ) -> bool:
        if any(name in now and now[name].seen_at > each.seen_at for name, each in before.items()):
            return True
        if before and time.monotonic() - self._read_at < PATIENCE * self._every:
            return False
        if before:
            cause = GapCause.STREAM_LOST if self._intake.keeps else GapCause.MONITOR_STOPPED
            heard = max(each.heard_until for each in before.values())
            self._intake.seen_gaps.put(SeenGap(cause, min(heard.timestamp(), self._since), self._since))
        return True


class Counts:
    """The events that workers' own counts miss, which may be late: so only what is missed at two looks."""

    def __init__(self, now: float) -> None:
        # How many of them are in gaps that were told.
        self.told = 0
        self._lost_before = 0
        self._good_at = now

    def look(self, lost: int, now: float) -> SeenGap | None:
        missed = min(lost, self._lost_before) - self.told
        self._lost_before = lost
        self.told = min(self.told, lost)
        if missed > 0:
            self.told += missed
            gap = SeenGap(GapCause.WORKER_COUNT, self._good_at - COUNTED_SECONDS, now, missed)
            self._good_at = now
            return gap
        if lost <= self.told:
            self._good_at = now
        return None
