"""Writes changed tasks to the database in batches, without delaying the intake.

Of several monitors one writes (`writership.py`). The others keep what they would have to write until it is
written by that one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import structlog

from services.kernel.database import Connection, Database
from services.kernel.endings import undisturbed
from services.kernel.leases import LeaseLost
from services.kernel.logged_errors import for_log
from services.kernel.loops import Backoff, Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.figures import Figures
from services.monitor.intake.writership import Writership
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.attempts import CHARACTERS
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_tasks import Row, RowsRefused, TaskBatches, row_of
from services.monitor.tasks.trying import forget_attempts

log = structlog.get_logger(__name__)

UNFINISHED_AT_ONCE = 500
BATCH = 2_000
LONGEST_BACKOFF = 2.0
LAST_SECONDS = 5.0
# Before every moment of time.monotonic(), and not 0, which says that nothing waits.
LONG_AGO = 1e-9
# The share of its bounds from which on there is no room: the rest is for the slice that is being taken in.
FULL = 0.75
# Once a task is written, its texts are kept in memory only if they are no longer than this together.
SHORT_TEXT = 512


class TaskWriter:
    """Holds changed tasks until they are written: at most `most`, with `most_text` characters of texts.

    Beyond that, the task that has waited longest is dropped, and counted in the figures. `on_written` gets
    each task that is written, unless it has changed meanwhile.

    `written_before` returns the place in the events before which all that changed until a moment stands
    (time.monotonic(); None: until now). `on_place` gets the place up to which this monitor has written
    everything, `on_others` the one up to which another has.
    """

    def __init__(
        self,
        database: Database,
        figures: Figures,
        most: int,
        most_text: int,
        pace: Pace = USUAL,
        on_written: Callable[[TaskRecord], None] = lambda record: None,
        *,
        writership: Writership,
        written_before: Callable[[float | None], str],
        on_place: Callable[[str], None],
        on_others: Callable[[str], float],
    ) -> None:
        self._writership = writership
        self._written_before = written_before
        self._on_place, self._on_others = on_place, on_others
        self._database = database
        self._pace = pace
        self._figures = figures
        self._on_written = on_written
        self._most = most
        self._most_text = most_text
        # In the order since when they wait, so that the first tells how long anything has waited.
        self._waiting: OrderedDict[str, TaskRecord] = OrderedDict()
        self._text = 0
        # Since when the tasks of the batch that is being written have waited.
        self._writing_since: float | None = None
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self._loop = Loop(
            "task_writing",
            self._write_for_ever,
            every=pace.write,
            outlives=(LeaseLost, *DATABASE_ERRORS),
            failed="tasks.write_failed",
            retry=Backoff(pace.write, LONGEST_BACKOFF),
        )

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return self._loop.heartbeats

    @property
    def waiting_tasks(self) -> Sequence[TaskRecord]:
        return list(self._waiting.values())

    @property
    def unwritten_since(self) -> float | None:
        """The time (time.monotonic()) since which something waits to be written; None if nothing does."""
        since = [] if self._writing_since is None else [self._writing_since]
        if self._waiting:
            since.append(next(iter(self._waiting.values())).waiting_since)
        return min(since, default=None)

    def waiting(self, task_id: str) -> TaskRecord | None:
        """Returns the task if it waits to be written, else None. The table may have dropped it already."""
        return self._waiting.get(task_id)

    def put(self, record: TaskRecord, now: float) -> None:
        """Marks a changed task to be written. `now`: by time.monotonic()."""
        is_as_heavy = record.text_size == record.waiting_text and record.attempts is None
        if is_as_heavy and record.waiting_since and self._writership.writes:
            return
        if not record.waiting_since:
            record.waiting_since = now
            self._waiting[record.id] = record
            self._news.set()
        elif not self._writership.writes:
            # In the order of their last changes: what another monitor has written is dropped from the begin.
            record.waiting_since = now
            self._waiting.move_to_end(record.id)
        self._weigh(record)
        if len(self._waiting) > self._most or self._text > self._most_text:
            self._drop_oldest()

    def _put_back(self, records: Sequence[TaskRecord], since: Sequence[float]) -> None:
        """Has tasks wait again that could not be written, since when they did: before all others."""
        for record, moment in zip(reversed(records), reversed(since), strict=True):
            # One that was evicted and heard of again meanwhile waits with what was heard since.
            waits = self._waiting.setdefault(record.id, record)
            # Also one that changed again meanwhile: its first change is not written either.
            waits.waiting_since = moment
            self._waiting.move_to_end(record.id, last=False)
            self._weigh(waits)
        while len(self._waiting) > self._most or self._text > self._most_text:
            self._drop_oldest()

    def _weigh(self, record: TaskRecord) -> None:
        size = record.text_size
        if record.attempts:
            size += CHARACTERS * len(record.attempts)
        self._text += size - record.waiting_text
        record.waiting_text = size

    def _drop_oldest(self) -> None:
        self._take_out(next(iter(self._waiting.values()))).forget_texts()
        self._figures.tasks_dropped += 1

    async def room(self) -> None:
        """Waits while so much waits to be written that a little more would drop tasks."""
        while len(self._waiting) > self._most * FULL or self._text > self._most_text * FULL:
            self._left.clear()
            await self._left.wait()

    async def run(self) -> None:
        try:
            await self._loop.run()
        except asyncio.CancelledError:
            await undisturbed(self._write_last())
            raise

    async def _write_for_ever(self) -> None:
        """Writes batches over one connection until it fails, so that the staging table is made only once."""
        async with self._database.connection() as connection:
            batches = TaskBatches(connection)
            await batches.prepare()
            while True:
                await self._look(connection)
                full = self._writership.writes and await self.write_batch(batches)
                self._figures.tasks_waiting = len(self._waiting)
                self._loop.heartbeat.succeeded()
                if not self._writership.writes:
                    await asyncio.sleep(self._pace.standby_look)
                elif not self._waiting:
                    await self._until_news()
                if not full:
                    await asyncio.sleep(self._pace.write)

    async def _look(self, connection: Connection) -> None:
        """Finds out who writes, and drops what another monitor has written."""
        wrote = self._writership.writes
        place = await self._writership.look(connection)
        if place is None:
            return
        if wrote and not self._writership.writes:
            self._stand_by()
        if not wrote or not self._writership.writes:
            self._drop_until(self._on_others(place.written_to))
        if self._writership.writes and not wrote:
            # The place must not pass what waits: when each of them changed first is not known.
            for record in self._waiting.values():
                record.waiting_since = min(record.waiting_since, LONG_AGO)

    def _stand_by(self) -> None:
        """What waits was written by the monitor that writes now, if that is ahead of what was read here."""
        now = time.monotonic()
        for record in self._waiting.values():
            record.waiting_since = now

    def _drop_until(self, moment: float) -> None:
        """Drops tasks that changed last before then: another monitor has written them."""
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if oldest.waiting_since > moment:
                return
            self._settle(self._take_out(oldest))

    async def _until_news(self) -> None:
        """Waits for a task to write, or until the lease is to be renewed: nothing is wrong meanwhile."""
        self._news.clear()
        self._loop.heartbeat.idle = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.lease_renewal):
                    await self._news.wait()
        finally:
            self._loop.heartbeat.idle = False
        self._loop.heartbeat.succeeded()

    async def _write_last(self) -> None:
        """Writes all waiting tasks before the process ends.

        It uses another connection: on the loop's, a statement may have been interrupted.
        """
        try:
            async with asyncio.timeout(LAST_SECONDS), self._database.connection() as connection:
                batches = TaskBatches(connection)
                await batches.prepare()
                await self._look(connection)
                while self._writership.writes and self._waiting:
                    await self.write_batch(batches, everything=True)
                await self._writership.release()
        except (LeaseLost, *DATABASE_ERRORS) as error:
            log.warning("tasks.left_unwritten", tasks=len(self._waiting), error=for_log(error))

    async def write_batch(self, batches: TaskBatches, *, everything: bool = False) -> bool:
        """Writes the tasks that are ready, one batch at most. Returns whether the batch was full.

        If it fails, the tasks wait again.
        """
        records = self._ready(time.monotonic(), everything or len(self._waiting) <= UNFINISHED_AT_ONCE)
        if not records and not self._writership.has_news:
            return False
        since = [record.waiting_since for record in records]
        rows = [row_of(self._take_out(record)) for record in records]
        # Up to where all is written together with these rows.
        place = self._written_before(self.unwritten_since)
        self._writing_since = since[0] if since else None
        try:
            await self._write_all(batches, rows, place)
        except BaseException as error:
            self._put_back(records, since)
            if isinstance(error, LeaseLost):
                self._writership.lost()
                self._stand_by()
            raise
        finally:
            self._writing_since = None
        self._writership.committed(place)
        self._on_place(place)
        for record in records:
            if not record.waiting_since:
                self._settle(record)
        return len(records) == BATCH

    def _settle(self, record: TaskRecord) -> None:
        if record.state.ended or record.text_size > SHORT_TEXT:
            record.forget_texts()
        if record.attempts:
            forget_attempts(record)
        self._on_written(record)

    def _ready(self, now: float, everything: bool) -> Sequence[TaskRecord]:
        ready = []
        for record in self._waiting.values():
            if everything or record.state.ended or now - record.waiting_since >= self._pace.unfinished:
                ready.append(record)
                if len(ready) == BATCH:
                    break
        return ready

    def _take_out(self, record: TaskRecord) -> TaskRecord:
        del self._waiting[record.id]
        self._text -= record.waiting_text
        record.waiting_since, record.waiting_text = 0.0, 0
        self._left.set()
        return record

    async def _write_all(self, batches: TaskBatches, rows: Sequence[Row], place: str) -> None:
        """Writes the rows, and in the same transaction the totals and the place."""
        commit = partial(self._writership.commit, written_to=place)
        try:
            await batches.write(rows, commit)
        except RowsRefused:
            # In several transactions: rows may be written twice, totals come last.
            await self._write(batches, rows)
            await batches.write((), commit)
        else:
            self._figures.rows_written += len(rows)

    async def _write(self, batches: TaskBatches, rows: Sequence[Row]) -> None:
        try:
            await batches.write(rows, self._writership.fence)
        except RowsRefused as error:
            if len(rows) == 1:
                self._figures.tasks_dropped += 1
                log.error("tasks.row_refused", task_id=rows[0][0], error=for_log(error))
                return
            middle = len(rows) // 2
            await self._write(batches, rows[:middle])
            await self._write(batches, rows[middle:])
        else:
            self._figures.rows_written += len(rows)
