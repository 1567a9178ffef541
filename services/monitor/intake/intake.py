"""The intake of events: from the broker's stream into live state, figures, and the database.

1. The events come from the stream that the relay keeps (`KeptEvents`), or where there is no relay from the
   broker itself (`Subscription`, which empties the socket into a bounded buffer).
2. Slices of them are decoded, and update the task table, the worker table, the figures and the readers of
   WatchEvents.
3. `TaskWriter` writes changed tasks to the database in batches. While the database is away, the live state
   is still updated. The number of tasks that wait is bounded. Beyond it, events wait in the relay's stream;
   without a relay, tasks are left out and counted.

Everything runs on one event loop, in slices of a few milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from services.kernel.database import Database
from services.kernel.endings import to_the_end, undisturbed
from services.kernel.logged_errors import Loggable
from services.kernel.loops import Again, Heartbeat, Loop
from services.monitor.figures import Figures
from services.monitor.intake.events import opened
from services.monitor.intake.kept_events import Gap, KeptStream
from services.monitor.intake.kept_reader import KeptEvents
from services.monitor.intake.recall import Recall
from services.monitor.intake.seen_gaps import GapCause, SeenGap, SeenGaps
from services.monitor.intake.subscription import EventSource, Subscription
from services.monitor.intake.taking import TRIED, Taking
from services.monitor.intake.task_writer import TaskWriter
from services.monitor.intake.writership import Writership
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.redaction import Redaction
from services.monitor.tasks.table import TaskTable
from services.monitor.tasks.tasks import TOLD_ENDS, Task
from services.monitor.totals import tally
from services.monitor.totals.ledger import Ledger
from services.monitor.totals.totals import Totals
from services.monitor.workers.worker import Worker
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

# Celery's workers send one each 2 seconds, unless they are told otherwise.
HEARTBEAT_SECONDS = 3.0
# Workers are looked at this often even if none can have fallen silent: a metric tells when they last were.
LONGEST_SWEEP_SECONDS = 10.0
# A worker's clock is known to about a second.
DOUBTED_SECONDS = 1.0


class NotHeardYet(Loggable):
    """The monitor does not know yet which workers there are."""


@dataclass(frozen=True)
class Bounds:
    """Limits of the intake's memory: for a task in the table about 1 kB, 270 bytes once it has ended and is
    written; for a sent task 150 bytes."""

    # Recent tasks, whatever their state.
    tasks: int = 100_000
    # Tasks that were sent but not yet received, and are no longer among the recent ones.
    sent_tasks: int = 500_000
    # Changed tasks that wait to be written, and characters of their texts.
    waiting_tasks: int = 100_000
    waiting_text: int = 64 * 1024 * 1024


class Intake:
    """Takes events in for as long as `run` runs: from the relay's stream in `kept`, or from the broker.

    `on_tasks` gets the tasks that entered a new state, in order: those that `wants` returns True for. Of the
    others `on_unwatched` gets how many there were: to describe each would be a third of the work. `on_worker`
    gets each worker whose state has changed. `redaction` replaces secrets in each event of a task before
    anything of it is kept.
    """

    def __init__(
        self,
        source: EventSource,
        database: Database,
        figures: Figures,
        workers: WorkerTable,
        *,
        on_tasks: Callable[[Sequence[Task]], None],
        on_worker: Callable[[Worker], None],
        on_unwatched: Callable[[int], None] = lambda count: None,
        wants: Callable[[TaskRecord], bool] = lambda record: True,
        kept: KeptStream | None = None,
        bounds: Bounds | None = None,
        redaction: Redaction | None = None,
        pace: Pace = USUAL,
    ) -> None:
        bounds = bounds or Bounds()
        self._redaction = redaction or Redaction()
        self.table = TaskTable(bounds.tasks, bounds.sent_tasks)
        self._recall = Recall(database, self.table, bounds.sent_tasks)
        self._figures = figures
        self._workers = workers
        self._on_tasks = on_tasks
        self._on_worker = on_worker
        self._on_unwatched = on_unwatched
        self._wants = wants
        self._workers_look = pace.workers_look
        # Set when a worker comes or goes, after which another may be the next to fall silent.
        self._worker_news = asyncio.Event()
        self._sweeping = Loop("workers", self._sweep, every=pace.workers_look, woken=self._worker_news)
        self._listening_since = 0.0
        self.totals = Totals(database)
        self._ledger = Ledger(figures.take_changes)
        self._writership = Writership(database, self.totals, self._ledger, pace)
        self._writer = TaskWriter(
            database,
            figures,
            bounds.waiting_tasks,
            bounds.waiting_text,
            pace,
            writership=self._writership,
            written_before=self._written_before,
            on_written=self.table.settle,
            on_place=self._written,
            on_others=self._others_wrote,
        )
        self._taking = Taking(
            self.table,
            self._writer,
            figures,
            workers,
            self._redaction,
            on_tasks=on_tasks,
            on_worker=self.worker_changed,
            on_unwatched=on_unwatched,
            wants=wants,
        )
        self.seen_gaps = SeenGaps()
        # When the subscription was cut, in seconds since 1970; None while it is open, and before the first.
        self._cut_at: float | None = None
        self._kept = None if kept is None else self._reader_of(kept, pace)
        self._events: KeptEvents | Subscription = self._kept or Subscription(
            source, on_listening=self._listening, on_cut=self._cut, pace=pace
        )

    @property
    def waiting_tasks(self) -> Sequence[TaskRecord]:
        """The tasks with changes that are not in the database yet."""
        return self._writer.waiting_tasks

    @property
    def unwritten_since(self) -> float | None:
        """The time (time.monotonic()) since which a task or a gap waits to be written; None if none does."""
        waiting = (self._writer.unwritten_since, self.seen_gaps.unwritten_since)
        return min((since for since in waiting if since is not None), default=None)

    @property
    def writes(self) -> bool:
        """Whether this monitor is the one that writes."""
        return self._writership.writes

    @property
    def heard_until(self) -> float:
        """Up to when all events are heard and written, in seconds since 1970; 0 if that is not known."""
        heard, since = self._events.taken_until, self.unwritten_since
        if self._cut_at is not None:
            heard = min(heard, self._cut_at)
        return heard if since is None else min(heard, time.time() - (time.monotonic() - since))

    @property
    def rows_written(self) -> int:
        """How often a row of a task was written: while it stays the same, stored tasks are as they were."""
        return self._figures.rows_written

    @property
    def caught_up(self) -> bool:
        """Whether what was heard is taken in, but for the last moment."""
        return self.has_listened and self._events.caught_up

    @property
    def begins_anew(self) -> bool:
        """Whether what was kept for monitors before is gone; False where nothing is kept."""
        return self._kept is not None and self._kept.begins_anew

    @property
    def keeps(self) -> bool:
        """Whether a relay keeps events while no monitor listens."""
        return self._kept is not None

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        """Without one of the events' stream, which may be silent: `celery_event_stream_up` tells of it."""
        kept = [] if self._kept is None else self._kept.heartbeats
        return [*self._writer.heartbeats, self._sweeping.heartbeat, self._recall.loop.heartbeat, *kept]

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(to_the_end(self._writer.run()))
                group.create_task(to_the_end(self._sweeping.run()))
                group.create_task(to_the_end(self._recall.loop.run()))
                if self._kept is not None:
                    group.create_task(to_the_end(self._kept.run()))
                async for batch in self._events.batches():
                    await self._recall.wait()
                    self.take_in(batch if self._kept else [*map(opened, batch)], self._events.age)
                    # Without a wait after it was taken in: what is counted has the place where it stands.
                    self._ledger.seal(self._events.position, joins=self._kept is None)
                    if self._kept is not None:
                        # What the stream keeps can wait there until the database is back.
                        await self._room()
                    # Let the socket, gRPC calls and the writer run before the next slice.
                    await asyncio.sleep(0)
        finally:
            if self._kept is not None:
                await undisturbed(self._kept.note_last())

    def take_in(self, messages: Sequence[bytes], age: float = 0.0) -> None:
        """Takes in messages of the event channel, opened, which were heard `age` seconds ago."""
        self._taking.take_in(messages, age)

    @property
    def collects(self) -> bool:
        """Whether events of tasks are taken in."""
        return self._taking.collects

    def collect(self, collects: bool) -> None:
        """Takes events of tasks in, or passes them over, from now on."""
        if self._taking.collects is not collects:
            self._taking.collects = collects
            self._workers.count_tasks(collects)

    def known(self, task_id: str) -> TaskRecord | None:
        """Returns the task if it is in memory, or waits to be written."""
        return self.table.get(task_id) or self._writer.waiting(task_id)

    def redacted(self, kind: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what was found out about a task, in the form of an event of the type, without secrets."""
        copied = dict(event)
        self._redaction.event(kind, copied)
        return copied

    def put_right(
        self, record: TaskRecord, learn: Callable[[TaskRecord], bool], *, new: bool = False
    ) -> bool:
        """Takes in what was found out about a task, not by its events. Returns whether its state changed.

        `record` is what the database has of it; what is in memory is used before that. `learn` changes the
        record, and returns whether it has. `new`: the database has nothing.
        """
        in_memory = self.known(record.id)
        known = in_memory or record
        before = known.state
        if before in TOLD_ENDS or not learn(known):
            return False
        if in_memory is None:
            self.table.add(known)
        self._writer.put(known, time.monotonic())
        if known.state is before and not new:
            return False
        seconds = known.seconds_run() if known.state in TRIED else None
        self._figures.task(
            known.task or "", known.queue or "", known.state, seconds, known.exception_type or ""
        )
        if self._wants(known):
            self._on_tasks([known.task_now()])
        else:
            self._on_unwatched(1)
        return True

    def count_repairs(self, from_results: int, from_workers: int, not_repairable: int) -> None:
        """Counts tasks that were put right after a gap, or of which it is not known how they ended."""
        repaired = self._figures.repaired
        found = {
            tally.BY_RESULTS: from_results,
            tally.BY_WORKERS: from_workers,
            tally.BY_NOTHING: not_repairable,
        }
        for source, count in found.items():
            repaired[source] = repaired.get(source, 0) + count

    async def _room(self) -> None:
        await self._writer.room()
        await self._ledger.room()

    async def room(self) -> None:
        """Waits while so much waits to be written that a little more would drop tasks."""
        await self._writer.room()

    def worker_changed(self, worker: Worker) -> None:
        """Tells that a worker has come or gone, or has fallen silent."""
        self._worker_news.set()
        self._on_worker(worker)

    def other_queues(self, name: WorkerName, since: float) -> None:
        """Takes in that a worker may have consumed other queues since then (time.monotonic()) than it did.

        Which tasks it received since is known by its own clock, so that a few more may be doubted.
        """
        now = time.monotonic()
        skew = self._workers.skew_of(name)
        earliest = int((time.time() - (now - since) + skew - DOUBTED_SECONDS) * 1e6)
        for record in self.table.received_by(name, earliest):
            if record.doubt_queue():
                self._writer.put(record, now)

    async def _sweep(self) -> Again:
        now = time.monotonic()
        for worker in self._workers.sweep(now):
            self._on_worker(worker)
        seconds = min(self._workers.next_sweep() - now, LONGEST_SWEEP_SECONDS)
        return Again(max(seconds, self._workers_look))

    @property
    def has_listened(self) -> bool:
        """Whether events have been listened to for as long as a heartbeat takes."""
        return self.listened >= HEARTBEAT_SECONDS

    @property
    def listened(self) -> float:
        """For how many seconds events have been listened to without a cut."""
        return time.monotonic() - self._listening_since if self._figures.listening else 0.0

    async def check(self) -> None:
        """Raises `NotHeardYet` until events have been listened to for as long as a heartbeat takes."""
        if not self._figures.listening:
            raise NotHeardYet("the subscription to the broker's events is not open")
        if not self.has_listened:
            raise NotHeardYet("workers have not had the time to send a heartbeat")

    def _listening(self) -> None:
        self._figures.listening = True
        self._listening_since = time.monotonic()
        if self._cut_at is not None:
            self.seen_gaps.put(SeenGap(GapCause.SUBSCRIPTION_CUT, self._cut_at, time.time()))
            self._cut_at = None
        self.seen_gaps.news.set()
        log.info("events.listening")

    def _cut(self) -> None:
        self._deaf()
        assert isinstance(self._events, Subscription)
        # What was published after the last word came may be lost with the connection.
        self._cut_at = self._events.heard_until
        self._figures.stream_cuts += 1

    def _deaf(self) -> None:
        self._figures.listening = False

    def _gap(self, gap: Gap) -> None:
        self._figures.stream_cuts += 1

    def _missing(self, messages: int) -> None:
        self._figures.messages_missing += messages

    def _written_before(self, since: float | None) -> str:
        """Returns the place in the events up to which all is written, if tasks wait since then."""
        waiting = (since, self.seen_gaps.unwritten_since)
        return self._events.written_before(min((each for each in waiting if each is not None), default=None))

    def _written(self, place: str) -> None:
        if self._kept is not None:
            self._kept.note(place)

    def _others_wrote(self, place: str) -> float:
        """Takes in that another monitor has written everything up to the place; returns when that came."""
        until = self._events.taken_in_until(place)
        if not self.writes:
            # Whoever begins to write records what it has seen: to record a gap twice changes nothing.
            self.seen_gaps.drop_until(until)
        return until

    def _reader_of(self, stream: KeptStream, pace: Pace) -> KeptEvents:
        return KeptEvents(
            stream,
            on_listening=self._listening,
            on_deaf=self._deaf,
            on_gap=self._gap,
            on_missing=self._missing,
            seen=self.seen_gaps,
            pace=pace,
        )
