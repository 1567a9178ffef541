"""Holds a halt: the scheduler sends nothing and workers consume nothing, until it is ended.

The row of the table says what is wanted; the loop of each monitor compares that with how things are, and
tells whoever does not know yet: the scheduler, workers that came later, and after the end those that still
stand still (workers/stopped_consumers.py). To be told twice changes nothing, so several monitors may do it.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from services.kernel.database import Database
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.logged_errors import for_log
from services.kernel.loops import Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.halting.halt import Halt
from services.monitor.halting.held_mark import HeldMark
from services.monitor.halting.scheduler_client import SchedulerClient
from services.monitor.halting.store_halts import HaltStore
from services.monitor.pace import USUAL, Pace
from services.monitor.workers.answers import Outcome
from services.monitor.workers.consuming import LATER, by_worker, consumers_of
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.stopped_consumers import StoppedConsumers
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)


class Halting:
    def __init__(
        self,
        database: Database,
        control: Control,
        workers: WorkerTable,
        stopped: StoppedConsumers,
        scheduler: SchedulerClient,
        mark: HeldMark,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._control = control
        self._workers = workers
        self._scheduler = scheduler
        self.mark = mark
        self._stopped = stopped
        self._known = Halt()
        self.loop = Loop(
            "halting",
            self.look,
            every=pace.halt_look,
            outlives=(Unavailable, *DATABASE_ERRORS),
            failed="halting.not_told",
        )

    @property
    def words(self) -> str:
        """Who has stopped new tasks and since when; empty while they are sent and taken."""
        known = self._known
        if known.stopped_at is None:
            return ""
        what = "SHUT DOWN" if known.shut_down else "DRAINED"
        return f"{what} by {known.stopped_by} since {known.stopped_at:%Y-%m-%d %H:%M:%S}Z"

    async def state(self) -> Halt:
        async with self._database.connection() as connection:
            self._known = await HaltStore(connection).get()
        return self._known

    async def refuse_stopped(self, otherwise: str) -> None:
        """Raises `FailedPrecondition` while new tasks are stopped.

        `otherwise`: what would come of the act.
        """
        if (await self.state()).holds:
            raise FailedPrecondition(
                "SYSTEM_DRAINED",
                f"no new tasks are taken ({self.words}), so that {otherwise}; call Resume or Start first",
            )

    async def stop(self, actor: str, *, shut_down: bool = False) -> Sequence[Reply]:
        """Returns a reply of each worker that was told.

        Raises `Unavailable` if the broker is away; the halt holds then, too, and workers are told later.
        """
        if shut_down:
            # Before the shutdown: a mark without one is removed, and a shutdown without a mark ends.
            self.mark.set()
        async with self._database.transaction() as connection:
            await HaltStore(connection).stop(actor, shut_down=shut_down)
        return await self._hold()

    async def go_on(self, *, after_shutdown: bool) -> Sequence[Reply]:
        """Raises `FailedPrecondition` if the system is shut down and `after_shutdown` is not set."""
        async with self._database.transaction() as connection:
            store = HaltStore(connection)
            if (await store.get()).shut_down and not after_shutdown:
                raise FailedPrecondition(
                    "SYSTEM_SHUT_DOWN",
                    "the system is shut down; POST /celery-admin/system/start starts it, and `make up` does",
                )
            await store.go_on()
        return await self._release()

    async def look(self) -> None:
        halt = await self.state()
        if halt.shut_down and self.mark.used and not self.mark.is_set:
            log.warning("halt.ended_by_a_start", stopped_by=halt.stopped_by)
            await self.go_on(after_shutdown=True)
        elif halt.holds:
            await self._hold()
        else:
            async with self._stopped.turn:
                await self._has_ended()

    async def _hold(self) -> Sequence[Reply]:
        async with self._stopped.turn:
            halt = await self.state()
            if not halt.holds:
                return []
            await self._tell_scheduler(halt)
            consumers, silent = await consumers_of(self._control, self._workers.there())
            replies = by_worker(await self._stopped.stop(consumers))
            if consumers:
                log.info("halt.told", workers=sorted({str(each.worker) for each in consumers}))
            no_answer = [Reply(name, Outcome.NO_ANSWER, LATER) for name in silent]
            return sorted([*replies, *no_answer], key=lambda reply: str(reply.worker))

    async def _release(self) -> Sequence[Reply]:
        async with self._stopped.turn:
            if not await self._has_ended():
                return []
            return by_worker(await self._stopped.go_on())

    async def _has_ended(self) -> bool:
        """Whether no halt holds; the supervisor and the scheduler are told then. Holds the turn."""
        halt = await self.state()
        if halt.holds:
            return False
        self.mark.remove()
        await self._tell_scheduler(halt)
        return True

    async def _tell_scheduler(self, halt: Halt) -> None:
        """Tells it once; while it is away, again at the next look."""
        if halt.scheduler_told:
            return
        words = f"stopped by {halt.stopped_by}" if halt.holds else "resumed"
        try:
            await self._scheduler.sends(not halt.holds, words)
        except Unavailable as error:
            log.warning("halt.scheduler_not_told", error=for_log(error))
            return
        async with self._database.transaction() as connection:
            await HaltStore(connection).scheduler_told(not halt.holds)
        await self.state()
