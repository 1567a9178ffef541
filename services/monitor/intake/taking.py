"""Takes events in: into the tasks in memory, the figures, the workers, and what readers of WatchEvents want.

What can be done once for many events is: texts are looked through for secrets together, and each worker hears
all its events of tasks at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from services.monitor.figures import NAMED, Figures
from services.monitor.intake.events import Event, events_in
from services.monitor.intake.task_writer import TaskWriter
from services.monitor.tasks.custom_states import custom_state_of
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.redaction import Redaction
from services.monitor.tasks.table import TaskTable
from services.monitor.tasks.tasks import STATE_OF_TYPE, Task, TaskState
from services.monitor.workers.worker import Worker
from services.monitor.workers.workers import HeardOfTasks, WorkerTable

TRIED = frozenset({TaskState.SUCCESS, TaskState.FAILURE})
WORKER_EVENTS = frozenset({"worker-online", "worker-heartbeat", "worker-offline"})


class Taking:
    """`Intake` describes `on_tasks`, `wants` and `on_unwatched`; `on_worker` gets each worker whose state has
    changed."""

    def __init__(
        self,
        table: TaskTable,
        writer: TaskWriter,
        figures: Figures,
        workers: WorkerTable,
        redaction: Redaction,
        *,
        on_tasks: Callable[[Sequence[Task]], None],
        on_worker: Callable[[Worker], None],
        on_unwatched: Callable[[int], None],
        wants: Callable[[TaskRecord], bool],
    ) -> None:
        self._table = table
        self._writer = writer
        self._figures = figures
        # By queue and name, looked at for each event.
        self._cells = figures.cells.found
        self._workers = workers
        self._redaction = redaction
        self._on_tasks = on_tasks
        self._on_worker = on_worker
        self._on_unwatched = on_unwatched
        self._wants = wants
        # False: events of tasks are passed over.
        self.collects = True
        # When the events that are being taken in came: by time.monotonic(), and in microseconds since 1970.
        self._came, self._arrived = 0.0, 0
        # Of these events: the workers that sent those of tasks, tasks that readers want, and how many they
        # don't want.
        self._heard: dict[tuple[str, int], HeardOfTasks] = {}
        self._changed: list[Task] = []
        self._unwatched = 0

    def take_in(self, messages: Sequence[bytes], age: float) -> None:
        """Takes in messages of the event channel, opened, which were heard `age` seconds ago."""
        now = time.monotonic()
        self._came, self._arrived = now - age, int((time.time() - age) * 1e6)
        events, refused = events_in(messages)
        self._figures.events_refused += refused
        if not self.collects:
            events = [event for event in events if event["type"] in WORKER_EVENTS]
        self._redaction.events(events)
        for event in events:
            state = STATE_OF_TYPE.get(event["type"])
            if state is None:
                self._take_other(event, now)
            else:
                self._take_task_event(state, event, now)
        self._tell_workers()
        if events:
            self._tell_figures(events, now)
        self._tell_readers()

    def _take_task_event(self, state: TaskState, event: Event, now: float) -> None:
        kind, at = event["type"], int(event["timestamp"] * 1e6 + 0.5)
        if state is TaskState.REJECTED and event.get("requeue") is True:
            # Its message is on its queue again, so this is no end.
            kind, state = "task-retried", TaskState.RETRY
        task_id = event["uuid"]
        record = self._table.find_open(task_id) or self._table.get(task_id)
        new = record is None
        if record is None:
            record = self._add(task_id)
        before, received_before = record.state, record.received
        if not record.hear(kind, at, event):
            return
        if state is not TaskState.PENDING:
            self._hear_worker(state, at, event)
            # The queue of this try, where no event told it.
            if state is TaskState.RECEIVED and record.queue_retries < (record.retries or 0):
                consumed = self._workers.queues_of(event, self._came)
                if consumed is not None:
                    record.take_queue(consumed)
        self._writer.put(record, now)
        self._count(record, state, received_before)
        if new or record.state is not before:
            self._changes(record)

    def _count(self, record: TaskRecord, state: TaskState, received_before: int) -> None:
        """Counts the state, and how long the try has waited, or run, until then."""
        figures = self._figures
        counted = figures.counted
        cells = self._cells.get((record.queue, record.task)) or figures.cells.of(record.task, record.queue)
        counted.cells.append(cells.states[state])
        if state is TaskState.PENDING:
            # Celery tells of a sending when it is done: a free worker's word may come first.
            if record.received > record.sent:
                waited = record.received - record.sent
                counted.durations[cells.of_queue.queue_waits].append(waited / 1e6)
        elif state is TaskState.RECEIVED:
            cells.of_queue.received += 1
            # Only if this try's sending was heard. Clocks differ, so it may seem to be a moment later.
            if record.sent > received_before:
                waited = record.received - record.sent
                counted.durations[cells.of_queue.queue_waits].append(waited / 1e6 if waited > 0 else 0.0)
        elif state is TaskState.STARTED:
            if record.started >= record.received > 0:
                held = record.started - record.received
                seconds = held / 1e6 if record.eta is None else record.seconds_held()
                counted.durations[cells.of_queue.worker_waits].append(seconds)
        elif state in NAMED:
            ran = record.seconds_run() if state in TRIED else None
            figures.ended(record.task or "", cells, state, ran, record.exception_type or "")

    def _hear_worker(self, state: TaskState, at: int, event: Event) -> None:
        hostname, pid = event.get("hostname"), event.get("pid")
        # Any program that reaches the broker can write an event.
        if type(hostname) is not str or type(pid) is not int:
            return
        heard = self._heard.get((hostname, pid))
        if heard is None:
            heard = self._heard[hostname, pid] = HeardOfTasks(at)
        elif at > heard.newest:
            heard.newest = at
        if state is TaskState.STARTED:
            heard.started.append(at)
        elif state in NAMED:
            heard.ended.append(state)

    def _take_other(self, event: Event, now: float) -> None:
        kind, at = event["type"], int(event["timestamp"] * 1e6 + 0.5)
        if kind in WORKER_EVENTS:
            self._tell_workers()  # what it sent before
            worker = self._workers.hear(kind, at, event, self._came, self._arrived)
            self._figures.events_lost = self._workers.lost()
            if worker is not None:
                self._on_worker(worker)
        elif (task_id := event.get("uuid")) is None:
            return  # about something else than a task
        elif kind == "task-cancelled":
            self._take_cancellation(at, task_id, now)
        elif custom_state := custom_state_of(kind):
            self._take_custom_event(custom_state, at, task_id, now)

    def _take_custom_event(self, custom_state: str, at: int, task_id: str, now: float) -> None:
        """Takes in a state that a task gave itself: one more or less in figures is none, as it is no step of
        its life, and no worker is heard, as the process of the event is one of a pool."""
        record = self._table.get(task_id)
        new = record is None
        record = record or self._add(task_id)
        before = (record.state, record.shown_custom_state)
        if record.hear_custom(custom_state, at):
            self._writer.put(record, now)
            if new or before != (record.state, record.shown_custom_state):
                self._changes(record)

    def _take_cancellation(self, at: int, task_id: str, now: float) -> None:
        """Takes in that a worker has killed the task, as it lost the broker or is stopped.

        Whether its message is delivered again is not told: if it is, the task is received again.
        """
        record = self._table.get(task_id) or self._add(task_id)
        before = record.state
        if record.vanish(at):
            self._writer.put(record, now)
            if record.state is not before:
                self._changes(record)

    def _add(self, task_id: str) -> TaskRecord:
        """Returns a task that is not among the recent ones, and is now."""
        record = self._writer.waiting(task_id) or TaskRecord(task_id)
        self._table.add(record)
        return record

    def _changes(self, record: TaskRecord) -> None:
        if self._wants(record):
            self._changed.append(record.task_now())
        else:
            self._unwatched += 1

    def _tell_workers(self) -> None:
        if self._heard:
            heard, self._heard = self._heard, {}
            for worker in self._workers.hear_tasks(heard, self._came, self._arrived):
                self._on_worker(worker)

    def _tell_figures(self, events: Sequence[Event], now: float) -> None:
        self._figures.events(len(events), now)
        self._figures.event_lag = max(0.0, time.time() - events[-1]["timestamp"])

    def _tell_readers(self) -> None:
        if self._unwatched:
            self._on_unwatched(self._unwatched)
            self._unwatched = 0
        if self._changed:
            changed, self._changed = self._changed, []
            self._on_tasks(changed)
