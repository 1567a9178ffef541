"""Records how each run's task ended, as reported by the monitor service. Runs on one replica at a time.

1. The monitor's stream reports an end at once. It may leave tasks out, and either side may have been away.
2. So the monitor is also asked about each open run (one whose outcome is not known) when the run is 1, 2, 4,
   8 … seconds old, up to 36 hours. For each of these ages the last batch is kept whose runs were asked about;
   nothing is stored for a run that goes on.
3. After a gap in the stream, it is asked about all open runs once more.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter

from services.kernel.database import Database
from services.kernel.endings import to_the_end
from services.kernel.leases import Lease
from services.kernel.loops import Backoff, Loop, rest
from services.scheduler.dispatch.delivery import FAULTS
from services.scheduler.pace import USUAL, Pace
from services.scheduler.runs.failures import pause_failing
from services.scheduler.runs.monitor_client import MOST_AT_ONCE, Gap, Heard, Monitor, MonitorAway
from services.scheduler.runs.store_failures import FAILED
from services.scheduler.runs.store_outcomes import Band, OpenRun, OutcomeStore
from services.scheduler.schedule.store_base import LEASES

# The services of a system are started together, and the monitor may take longer than the scheduler.
MONITOR_STARTS_SECONDS = 15.0
AGES = [dt.timedelta(seconds=2**power) for power in range(18)]
# Limits of the tasks per second that are asked about and taken from the stream, so that outcomes don't take
# too much of this process's time while much is published.
MOST_ASKED_A_SECOND = 5_000
MOST_HEARD_A_SECOND = 5_000
# Ends that come within this time are recorded by one statement.
WRITE_SECONDS = 0.1
# The most open runs that are kept in memory by task id, at 400 bytes each, to recognise them in the stream.
# The ends of all others are found by asking.
MOST_FOLLOWED = 20_000


class Outcomes:
    """Records outcomes in a background loop; it calls `on_ended` after recording some."""

    def __init__(
        self,
        database: Database,
        monitor: Monitor,
        registry: CollectorRegistry,
        on_ended: Callable[[], None] = lambda: None,
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._monitor = monitor
        self._on_ended = on_ended
        self._pace = pace
        self._lease = Lease(database, LEASES, "outcomes", pace)
        self._counted = Counter(
            "celeriac_scheduler_outcomes", "Runs whose end was heard", ["state"], registry=registry
        )
        self._begin()
        retry = Backoff(pace.outcomes_retry, pace.outcomes_longest_retry)
        self.loop = Loop(
            "outcomes",
            self._follow_if_mine,
            every=pace.outcomes_look,
            outlives=(*FAULTS, MonitorAway),
            failed="outcomes.failed",
            retry=retry,
        )
        # Part of the other, on the replica that holds the lease: its failures are counted as the other's, and
        # while it fails, the other has no success.
        self._listening = Loop(
            "outcomes_stream",
            self._listen_or_fail,
            every=pace.outcomes_retry,
            outlives=(MonitorAway,),
            failed="outcomes.stream_broke",
            patience=MONITOR_STARTS_SECONDS,
            retry=retry,
        )

    def _begin(self) -> None:
        self._followed: OrderedDict[str, OpenRun] = OrderedDict()
        self._heard: dict[str, tuple[OpenRun, Heard]] = {}
        self._news = asyncio.Event()
        # For each age: the last batch whose runs were asked about at that age.
        self._asked_until: list[int] = []
        self._again_at = float("-inf")

    async def _follow_if_mine(self) -> None:
        if await self._lease.hold():
            await self._follow()

    async def _follow(self) -> None:
        """Listens, writes and asks until another replica has the lease."""
        self._begin()
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(to_the_end(self._listening.run())),
                group.create_task(to_the_end(self._write_for_ever())),
            ]
            try:
                while await self._lease.hold():
                    seconds = await self.look()
                    if not self._listening.heartbeat.failures_in_a_row:
                        self.loop.heartbeat.succeeded()
                    await rest(seconds)
            finally:
                for task in others:
                    task.cancel()

    async def _listen_or_fail(self) -> None:
        try:
            await self._listen()
        except MonitorAway:
            self.loop.heartbeat.failed()
            raise

    async def _listen(self) -> None:
        """Takes ends from one stream, no faster than is good for what else this process does."""
        count, since = 0, time.monotonic()
        async for heard in self._monitor.ended():
            if isinstance(heard, Gap):
                # Each stream begins with one: the monitor is there.
                self._listening.heartbeat.succeeded()
                self._ask_again()
                continue
            self._take_in(heard)
            count += 1
            if count == MOST_HEARD_A_SECOND // 20:
                await asyncio.sleep(max(0.0, since + 0.05 - time.monotonic()))
                count, since = 0, time.monotonic()

    def _take_in(self, heard: Heard) -> None:
        run = self._followed.pop(heard.task_id, None)
        if run is not None:
            self._heard[heard.task_id] = (run, heard)
            self._news.set()

    async def _write_for_ever(self) -> None:
        """Not a `Loop`: what it raises ends the following, which begins anew and asks about all runs."""
        while True:
            await self._news.wait()
            await asyncio.sleep(WRITE_SECONDS)
            self._news.clear()
            heard, self._heard = self._heard, {}
            # If this fails, the runs stay open and are asked about again.
            await self._record(list(heard.values()))

    async def _record(self, ended: Sequence[tuple[OpenRun, Heard]]) -> None:
        if not ended:
            return
        async with self._database.connection() as connection:
            await OutcomeStore(connection).ended((run[:2], heard) for run, heard in ended)
        for _, heard in ended:
            self._counted.labels(heard.state).inc()
        failed = {run.schedule_id for run, heard in ended if heard.state in FAILED}
        if failed:
            await pause_failing(self._database, failed)
        self._on_ended()

    def _ask_again(self) -> None:
        """Has all open runs asked about again, at most once in `outcomes_again` seconds."""
        if time.monotonic() - self._again_at >= self._pace.outcomes_again:
            self._again_at = time.monotonic()
            self._asked_until = []

    async def look(self) -> float:
        """Asks about open runs that have come to one of the ages. Returns the seconds until the next look."""
        async with self._database.connection() as connection:
            store = OutcomeStore(connection)
            if not self._asked_until:
                # Each age begins with runs that are not yet twice as old, so each run is asked about once.
                self._asked_until = await store.last_batches([2 * age for age in AGES])
            asked_until = self._asked_until
            bands = [Band(number, asked_until[number], age) for number, age in enumerate(AGES)]
            found = await store.open(bands, MOST_AT_ONCE)
        await self._ask({run.task_id: run for runs in found.values() for run in runs})
        for number, runs in found.items():
            asked_until[number] = runs[-1].batch_id
        if any(len(runs) >= MOST_AT_ONCE for runs in found.values()):
            return 0.0
        return self._pace.outcomes_look if found else self._pace.outcomes_idle

    async def _ask(self, runs: dict[str, OpenRun]) -> None:
        task_ids = list(runs)
        for start in range(0, len(task_ids), MOST_AT_ONCE):
            asked = task_ids[start : start + MOST_AT_ONCE]
            # Followed before the question is sent, so that an end after the answer is taken from the stream.
            self._follow_up({task_id: runs[task_id] for task_id in asked})
            began = time.monotonic()
            heard = await self._monitor.heard_of(asked)
            ended = [(runs[task_id], each) for task_id, each in heard.items() if each.ended]
            for _, each in ended:
                self._followed.pop(each.task_id, None)
            await self._record(ended)
            await asyncio.sleep(max(0.0, began + len(asked) / MOST_ASKED_A_SECOND - time.monotonic()))

    def _follow_up(self, runs: dict[str, OpenRun]) -> None:
        self._followed.update(runs)
        while len(self._followed) > MOST_FOLLOWED:
            self._followed.popitem(last=False)
