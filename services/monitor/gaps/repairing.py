"""The loop that repairs open gaps, in one monitor at a time, and what all monitors know of open gaps."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.endings import end
from services.kernel.errors import Unavailable
from services.kernel.logged_errors import for_log
from services.kernel.loops import Again, Backoff, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.gaps.broker_lives import BrokerLives
from services.monitor.gaps.gap import EventGap
from services.monitor.gaps.places import TaskPlaces
from services.monitor.gaps.repair import Repairer, Run
from services.monitor.gaps.results import ResultBackend
from services.monitor.gaps.store_gaps import GapStore
from services.monitor.intake.intake import Intake
from services.monitor.pace import USUAL, Pace
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 30.0
# Between two looks, where a worker has left: the one before may have waited for its answer.
SOON_SECONDS = 1.0
WRITTEN_SECONDS = 10.0
MOST_NOTE = 300


class GapRepair:
    """Repairs in its `loop`, and at once when `woken` is set."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        backend: ResultBackend | None,
        places: TaskPlaces,
        workers: WorkerTable,
        lives: BrokerLives,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._intake = intake
        self._reads_results = backend is not None
        self._every, self._claim = pace.gaps_look, pace.gaps_claim
        self._repairer = Repairer(database, intake, backend, places.find, workers, lives)
        self._me = uuid.uuid4()
        self._run: Run | None = None
        self._has_left = False
        self.woken = asyncio.Event()
        # The gaps that no monitor has repaired yet.
        self.open: Sequence[EventGap] = ()
        self.loop = Loop(
            "gap_repair",
            self._look,
            every=pace.gaps_look,
            outlives=(Unavailable, RedisError, OSError, *DATABASE_ERRORS),
            failed="gaps.not_repaired",
            retry=Backoff(pace.gaps_look, LONGEST_PAUSE),
            woken=self.woken,
        )

    @property
    def fault(self) -> str:
        """What is to be said of open gaps; empty if there are none."""
        if not self.open:
            return ""
        more = f"; {len(self.open) - 1} more gaps" if len(self.open) > 1 else ""
        return self.open[-1].words + more

    def worker_left(self) -> None:
        """Takes in that a worker is gone, or was deleted: no answer of it is to be waited for any more."""
        self._has_left = True
        self.woken.set()

    async def _look(self) -> Again | None:
        async with self._database.connection() as connection:
            store = GapStore(connection)
            self.open = await store.open()
            mine = await store.claim(self._me, self._claim) if self.open and self._intake.writes else ()
        if not mine:
            self._run = None
            return None
        if self._run is None or _ends(self._run.gaps) != _ends(mine):
            self._run = Run(mine)
        pause = min(SOON_SECONDS, self._every) if self._has_left else self._every
        early = self._run.looked_at + pause - time.monotonic()
        if early > 0:
            return Again(early)
        self._has_left = False
        self._run.looked_at = time.monotonic()
        try:
            async with self._renewing():
                lacks = await self._repairer.look(self._run)
        except (RedisError, OSError, Unavailable) as error:
            await self._tell(self._run, f"can't be looked up: {for_log(error)}")
            raise
        return await self._settle(self._run, lacks)

    @asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        """Keeps the claim, as a look may take long. If that fails, two may look, which changes no task."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._claim / 3)
                with suppress(*DATABASE_ERRORS):
                    async with self._database.connection() as connection:
                        await GapStore(connection).claim(self._me, self._claim)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            await end([renewing])

    async def _settle(self, run: Run, lacks: str) -> Again | None:
        """Writes down what the look has brought."""
        if not await self._written():
            return None
        await self._count(run)
        if not run.done:
            await self._tell(run, lacks)
            return Again(min(self._every * 2 ** max(0, run.looks - 2), LONGEST_PAUSE), early=True)
        async with self._database.connection() as connection:
            store = GapStore(connection)
            await store.repaired(run.gaps, run.remark, self._reads_results)
            self.open = await store.open()
        log.info("gaps.repaired", gaps=[gap.id for gap in run.gaps], looks=run.looks, remark=run.remark)
        self._run = None
        return None

    async def _count(self, run: Run) -> None:
        async with self._database.connection() as connection:
            for gap, repairs in run.repairs.items():
                await GapStore(connection).count(gap, repairs)
                self._intake.count_repairs(repairs.from_results, repairs.from_workers, repairs.not_repairable)
        run.repairs.clear()

    async def _tell(self, run: Run, note: str) -> None:
        async with self._database.connection() as connection:
            store = GapStore(connection)
            undecided = len(run.later) + len(run.unheard)
            await store.tell(run.gaps, undecided, note[:MOST_NOTE], self._reads_results)
            self.open = await store.open()

    async def _written(self) -> bool:
        """Waits until all that has changed until now is in the database; not for ever."""
        now = time.monotonic()
        while (since := self._intake.unwritten_since) is not None and since <= now:
            if time.monotonic() - now > WRITTEN_SECONDS:
                return False
            await asyncio.sleep(0.05)
        return True


def _ends(gaps: Sequence[EventGap]) -> list[tuple[int, float]]:
    return [(gap.id, gap.ended_at.timestamp()) for gap in gaps]
