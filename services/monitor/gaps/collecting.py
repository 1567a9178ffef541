"""Stops and starts the collection of events, for all monitors, until it is asked for otherwise.

The row of the table says whether events of tasks are taken in. Every monitor reads it again and again, and
one that starts reads it before it takes in any event. To start is two steps: `starting` is set, upon which
each monitor takes events in again; and the one that writes then records the gap up to that moment, in the
transaction that ends the stop. So if it dies in between, the next writer records a longer gap.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from services.kernel.database import Database
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.figures import Figures
from services.monitor.gaps.store_collection import Collection, CollectionStore
from services.monitor.gaps.store_gaps import GapStore
from services.monitor.intake.intake import Intake
from services.monitor.intake.seen_gaps import GapCause, SeenGap
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)


class Collecting:
    """Looks in its `loop` for what was asked for at other monitors.

    `on_gap` is called after a gap was recorded.
    """

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
        self._known = Collection()
        self.loop = Loop(
            "collection",
            self.look,
            every=pace.collection_look,
            outlives=DATABASE_ERRORS,
            failed="collection.not_read",
        )

    @property
    def words(self) -> str:
        """Who stopped collection and since when; empty while it runs."""
        known = self._known
        if known.runs or known.stopped_at is None:
            return ""
        return f"STOPPED by {known.stopped_by} since {known.stopped_at:%Y-%m-%d %H:%M:%S}Z"

    async def stop(self, actor: str) -> Collection:
        async with self._database.transaction() as connection:
            await CollectionStore(connection).stop(actor)
        return await self.look_now()

    async def start(self) -> Collection:
        async with self._database.transaction() as connection:
            await CollectionStore(connection).start()
        return await self.look_now()

    async def look_now(self) -> Collection:
        """Reads what is asked for, and does it at this monitor."""
        await self.look()
        return self._known

    async def look(self) -> None:
        async with self._database.connection() as connection:
            self._take(await CollectionStore(connection).get())
        if self._known.starting and self._intake.writes:
            await self._end_the_stop()

    def _take(self, found: Collection) -> None:
        if self._intake.collects is not found.runs:
            log.warning("collection.changed", collects=found.runs, stopped_by=found.stopped_by)
        self._intake.collect(found.runs)
        self._known = found

    async def _end_the_stop(self) -> None:
        async with self._database.transaction() as connection:
            times = await CollectionStore(connection).started()
            if times is None:
                return
            since, until = (moment.timestamp() for moment in times)
            gap, new = await GapStore(connection).record(SeenGap(GapCause.COLLECTION_STOPPED, since, until))
        log.warning("gaps.recorded", gap=gap.id, cause=gap.cause.value, new=new)
        self._figures.gaps_recorded += new
        self._known = Collection()
        self._on_gap()
