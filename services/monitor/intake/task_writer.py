"""Writes changed tasks to the database in batches, without delaying the intake."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.loops import Backoff, Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.figures import Figures
from services.monitor.pace import USUAL, Pace
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.store_tasks import Row, RowsRefused, TaskBatches, row_of

log = structlog.get_logger(__name__)

UNFINISHED_AT_ONCE = 500
BATCH = 2_000
LONGEST_BACKOFF = 2.0
LAST_SECONDS = 5.0
# The share of its bounds from which on there is no room: the rest is for the slice that is being taken in.
FULL = 0.75
# Once a task is written, its texts are kept in memory only if they are no longer than this together.
SHORT_TEXT = 512


class TaskWriter:
    """Holds changed tasks until they are written: at most `most`, with `most_text` characters of texts.

    Beyond that, the task that has waited longest is dropped, and counted in the figures. `on_written` gets
    each task that is written, unless it has changed meanwhile.
    """

    def __init__(
        self,
        database: Database,
        figures: Figures,
        most: int,
        most_text: int,
        pace: Pace = USUAL,
        on_written: Callable[[TaskRecord], None] = lambda record: None,
    ) -> None:
        self._database = database
        self._pace = pace
        self._figures = figures
        self._on_written = on_written
        self._most = most
        self._most_text = most_text
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
            outlives=DATABASE_ERRORS,
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
        waiting = min((record.waiting_since for record in self._waiting.values()), default=None)
        since = [moment for moment in (waiting, self._writing_since) if moment is not None]
        return min(since, default=None)

    def waiting(self, task_id: str) -> TaskRecord | None:
        """Returns the task if it waits to be written, else None. The table may have dropped it already."""
        return self._waiting.get(task_id)

    def put(self, record: TaskRecord, now: float) -> None:
        """Marks a changed task to be written. `now`: by time.monotonic()."""
        if not record.waiting_since:
            record.waiting_since = now
            self._waiting[record.id] = record
            self._news.set()
        size = record.text_size
        self._text += size - record.waiting_text
        record.waiting_text = size
        if len(self._waiting) > self._most or self._text > self._most_text:
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
            await self._write_last()
            raise

    async def _write_for_ever(self) -> None:
        """Writes batches over one connection until it fails, so that the staging table is made only once."""
        async with self._database.connection() as connection:
            batches = TaskBatches(connection)
            await batches.prepare()
            while True:
                full = await self.write_batch(batches)
                self._figures.tasks_waiting = len(self._waiting)
                self._loop.heartbeat.succeeded()
                if not self._waiting:
                    await self._until_news()
                if not full:
                    await asyncio.sleep(self._pace.write)

    async def _until_news(self) -> None:
        """Waits for a task to write, for as long as that takes: nothing is wrong meanwhile."""
        self._news.clear()
        self._loop.heartbeat.idle = True
        try:
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
                while self._waiting:
                    await self.write_batch(batches, everything=True)
        except DATABASE_ERRORS as error:
            log.warning("tasks.left_unwritten", tasks=len(self._waiting), error=for_log(error))

    async def write_batch(self, batches: TaskBatches, *, everything: bool = False) -> bool:
        """Writes the tasks that are ready, one batch at most. Returns whether the batch was full.

        If it fails, the tasks wait again.
        """
        records = self._ready(time.monotonic(), everything or len(self._waiting) <= UNFINISHED_AT_ONCE)
        if not records:
            return False
        since = [record.waiting_since for record in records]
        self._writing_since = min(since)
        rows = [row_of(self._take_out(record)) for record in records]
        try:
            await self._write(batches, rows)
        except BaseException:
            for record, moment in zip(records, since, strict=True):
                self.put(record, moment)
            raise
        finally:
            self._writing_since = None
        for record in records:
            if not record.waiting_since:
                self._settle(record)
        return len(records) == BATCH

    def _settle(self, record: TaskRecord) -> None:
        if record.state.ended or record.text_size > SHORT_TEXT:
            record.forget_texts()
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

    async def _write(self, batches: TaskBatches, rows: Sequence[Row]) -> None:
        try:
            await batches.write(rows)
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
