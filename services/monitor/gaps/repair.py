"""Finds out about the tasks that may have changed in a gap, and puts right what is known of them.

Looked at are the tasks that have not ended as far as was heard, whose newest event is older than the gap's
end; those that workers have; and those of which the result backend stores an end and nothing was ever heard.
What there is to be thought of each is in verdicts.py.

A repair takes at least two looks: what is on its way from one place to another may be found nowhere once.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.kernel.database import Database
from services.monitor.gaps import learning
from services.monitor.gaps.broker_lives import BrokerLives
from services.monitor.gaps.fates import fate_of
from services.monitor.gaps.gap import EventGap
from services.monitor.gaps.places import Places
from services.monitor.gaps.results import AT_ONCE, ResultBackend, StoredEnd
from services.monitor.gaps.store_gaps import Repairs
from services.monitor.gaps.store_unended import UNTOLD, UnendedStore
from services.monitor.gaps.verdicts import Evidence, Verdict, verdict_of
from services.monitor.intake.intake import Intake
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TOLD_ENDS, UNTOLD_ENDS
from services.monitor.workers.workers import WorkerTable

# The clocks of workers may be off by so much.
SKEW = dt.timedelta(seconds=60)
BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Of tasks in UNTOLD_ENDS an end may be stored since: of those that were heard of so long before the gap.
ENDED_FOR = dt.timedelta(days=1)
# A worker that does not answer is waited for so long if there is no task to be found out about.
PATIENCE_SECONDS = 60.0
# Tasks that are looked at again; and stored results that are looked through for tasks never heard of.
MOST_LATER = 200_000
MOST_SCANNED = 1_000_000
MOST_QUEUES = 1_000
TOO_MANY_LATER = f"more than {MOST_LATER} tasks are to be looked at again"
TOO_MANY_RESULTS = (
    f"the result backend has more than {MOST_SCANNED} results: the others were not looked through"
)
NO_BACKEND = "there is no result backend: what became of tasks is known from workers only"


@dataclass
class Run:
    """One repair of some gaps, the newest last, which have the ends that they had when it began."""

    gaps: Sequence[EventGap]
    # Tasks to be looked at again, with the time of their newest event, in microseconds.
    later: dict[str, int] = field(default_factory=dict)
    # The queues that these were sent to.
    queues: set[str] = field(default_factory=set)
    # Tasks of which nothing was heard, and of which the backend or a worker tells.
    unheard: set[str] = field(default_factory=set)
    looks: int = 0
    # Whether all workers have answered at a look, so that what they have is known.
    heard_all: bool = False
    # When the last look began, by time.monotonic().
    looked_at: float = float("-inf")
    began_at: float = field(default_factory=time.monotonic)
    # What it did, by the id of the gap, and what could not be done.
    repairs: defaultdict[int, Repairs] = field(default_factory=lambda: defaultdict(Repairs))
    remark: str = ""

    @property
    def since(self) -> dt.datetime:
        return min(gap.started_at for gap in self.gaps)

    @property
    def until(self) -> dt.datetime:
        return max(gap.ended_at for gap in self.gaps)

    @property
    def done(self) -> bool:
        return self.looks >= 2 and self.heard_all and not self.later and not self.unheard

    def gap_at(self, microseconds: int) -> int:
        """Returns the id of the gap in which that moment is; of the last one if it is in none."""
        moment = dt.datetime.fromtimestamp(microseconds / 1e6, dt.UTC)
        within = (gap.id for gap in self.gaps if gap.started_at <= moment <= gap.ended_at)
        return next(within, self.gaps[-1].id)


class Repairer:
    """Takes the looks of a run.

    `places` finds where tasks are, given queues to look into beside those that are bound. `workers` tells
    which are there, and how far their clocks are ahead; `lives` what the broker has lost.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        backend: ResultBackend | None,
        places: Callable[[Collection[str]], Awaitable[Places]],
        workers: WorkerTable,
        lives: BrokerLives,
    ) -> None:
        self._database = database
        self._intake = intake
        self._backend = backend
        self._find_places = places
        self._workers = workers
        self._lives = lives

    async def look(self, run: Run) -> str:
        """Returns what the tasks to be looked at again wait for. Raises the errors of what it asks."""
        await self._lives.look()
        places = await self._find_places(run.queues)
        lacks = places.lacks
        if run.looks == 0:
            run.remark = NO_BACKEND if self._backend is None else ""
            await self._look_through(run, places)
        else:
            await self._look_again(run, places)
        if not run.heard_all:
            await self._find_unheard(run, places)
            run.heard_all = not lacks
        run.looks += 1
        waited = time.monotonic() - run.began_at
        if not (run.heard_all or run.later or run.unheard) and waited > PATIENCE_SECONDS:
            run.heard_all, run.remark = True, f"{lacks}: what is there may be unknown"
        return lacks

    async def _look_through(self, run: Run, places: Places) -> None:
        async with self._database.connection() as connection:
            store = UnendedStore(connection)
            for state in UNTOLD:
                last, since = None, run.since - ENDED_FOR if state in UNTOLD_ENDS else BEGINNING
                while page := await store.page(state, since, run.until + SKEW, last, AT_ONCE):
                    last = page[-1]
                    await self._judge(run, places, page, again=False)
            await self._scan(run, store)

    async def _find_unheard(self, run: Run, places: Places) -> None:
        """Looks for tasks that workers have, and of which nothing was heard; it may be on the way."""
        async with self._database.connection() as connection:
            store = UnendedStore(connection)
            for batch in _batches(places.held.tasks):
                run.unheard |= self._unheard(batch, await store.known(batch))

    async def _scan(self, run: Run, store: UnendedStore) -> None:
        """Looks for tasks that the backend tells of, and of which nothing was heard."""
        scanned = 0
        if self._backend is None:
            return
        async for ids in self._backend.task_ids():
            scanned += len(ids)
            for batch in _batches(ids):
                unheard = self._unheard(batch, await store.known(batch))
                for task_id, end in (await self._ends(list(unheard))).items():
                    self._sort(run, task_id, end)
                await self._intake.room()
            if scanned >= MOST_SCANNED or len(run.unheard) >= MOST_LATER:
                run.remark = TOO_MANY_RESULTS
                return

    def _sort(self, run: Run, task_id: str, end: StoredEnd) -> None:
        """Takes in an end whose event was in the gap; the event of a later one may be on the way."""
        if _microseconds(run.since - SKEW) <= end.at <= _microseconds(run.until):
            self._take_unheard(run, task_id, end)
        elif _microseconds(run.until) < end.at <= _microseconds(run.until + SKEW):
            run.unheard.add(task_id)

    def _take_unheard(self, run: Run, task_id: str, end: StoredEnd) -> None:
        record = learning.new_record(task_id, end)
        if self._intake.put_right(record, learning.of_end(end, self._intake.redacted), new=True):
            run.repairs[run.gap_at(end.at)].from_results += 1

    def _unheard(self, task_ids: Iterable[str], known: set[str]) -> set[str]:
        return {task_id for task_id in task_ids if task_id not in known and not self._intake.known(task_id)}

    async def _look_again(self, run: Run, places: Places) -> None:
        later, run.later = run.later, {}
        async with self._database.connection() as connection:
            store = UnendedStore(connection)
            for batch in _batches(later):
                records = [
                    record
                    for record in await store.several(batch)
                    # One of which an event has come since is being heard of again.
                    if self._newest(record).updated == later[record.id]
                ]
                await self._judge(run, places, records, again=True)
            unheard, run.unheard = run.unheard, set()
            for batch in _batches(unheard):
                await self._tell_of(run, places, self._unheard(batch, await store.known(batch)))

    async def _tell_of(self, run: Run, places: Places, unheard: set[str]) -> None:
        """Takes in tasks of which no event was heard although there was time for it."""
        ends = await self._ends(list(unheard))
        for task_id in unheard:
            held, end = places.held.tasks.get(task_id), ends.get(task_id)
            if held is not None:
                learn = learning.of_held(held, self._begin(run, held.worker), self._intake.redacted)
                if self._intake.put_right(TaskRecord(task_id), learn, new=True):
                    run.repairs[run.gaps[-1].id].from_workers += 1
            elif end is not None:
                self._take_unheard(run, task_id, end)

    async def _judge(self, run: Run, places: Places, records: Sequence[TaskRecord], *, again: bool) -> None:
        open_ones = [record for record in map(self._newest, records) if record.state not in TOLD_ENDS]
        ends = await self._ends([record.id for record in open_ones])
        for record in open_ones:
            found = Evidence(
                begun=learning.begun(record),
                until=_microseconds(run.until),
                end=ends.get(record.id),
                held=places.held.tasks.get(record.id),
                waits=record.id in places.waiting,
                everybody=not places.lacks,
                again=again,
            )
            self._act(run, record, found)
        await self._intake.room()

    def _act(self, run: Run, record: TaskRecord, found: Evidence) -> None:
        verdict = verdict_of(found)
        if record.state in UNTOLD_ENDS and verdict not in (Verdict.END, Verdict.HELD):
            return
        if verdict is Verdict.LATER:
            if len(run.later) < MOST_LATER:
                run.later[record.id] = record.updated
                if record.queue and len(run.queues) < MOST_QUEUES:
                    run.queues.add(record.queue)
            else:
                run.remark = TOO_MANY_LATER
        elif verdict is Verdict.END and found.end is not None:
            if self._intake.put_right(record, learning.of_end(found.end, self._intake.redacted)):
                run.repairs[run.gap_at(found.end.at)].from_results += 1
        elif verdict is Verdict.HELD and found.held is not None:
            learn = learning.of_held(found.held, self._begin(run, found.held.worker), self._intake.redacted)
            if self._intake.put_right(record, learn):
                run.repairs[run.gaps[-1].id].from_workers += 1
        elif verdict is Verdict.VANISHED:
            fate = fate_of(record, self._is_gone, lambda at: self._lives.lost(at, run.since))
            if self._intake.put_right(record, learning.vanished(fate)):
                run.repairs[run.gaps[-1].id].not_repairable += 1

    def _is_gone(self, worker: WorkerName) -> bool:
        return self._workers.is_gone(worker, self._intake.listened)

    def _newest(self, record: TaskRecord) -> TaskRecord:
        return self._intake.known(record.id) or record

    async def _ends(self, task_ids: Sequence[str]) -> Mapping[str, StoredEnd]:
        return await self._backend.ends(task_ids) if self._backend is not None and task_ids else {}

    def _begin(self, run: Run, worker: WorkerName) -> int:
        """Returns the begin of the gaps by the worker's clock."""
        return _microseconds(run.since) + int(self._workers.skew_of(worker) * 1e6)


def _batches(task_ids: Iterable[str]) -> Iterable[list[str]]:
    ids = list(task_ids)
    return (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))


def _microseconds(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1e6)
