"""The recent tasks in memory, up to a limit.

When the table is full, it evicts the oldest task. If that task was sent but not yet received, its queue and
name are kept in a compact map: only the task-sent event names the queue, and the backlog of a burst may be
far larger than the table, while its tasks must still be counted under their own queues. The map also has the
tasks that the database told of at the start. A task that a worker
has received and not ended is passed over once.

Tasks that have ended and are written are kept in another form (`ended.py`), and are evicted before all
others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from services.monitor.tasks.ended import EndedTasks
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState

MOST_PASSED_OVER = 8
# So many tasks that have left are let be in the order of those that are here.
SLACK = 1_000
RUNNING = frozenset({TaskState.RECEIVED, TaskState.STARTED, TaskState.RETRY})


class TaskTable:
    """Up to `most` tasks, and the queues of up to `most_sent` others."""

    def __init__(self, most: int, most_sent: int) -> None:
        self._most = most
        self._records: dict[str, TaskRecord] = {}
        # Finds a task that has not ended, or is not written, or None. The fastest way to most of them.
        self.find_open = self._records.get
        self._ended = EndedTasks()
        # The order is kept beside the dict, since finding a dict's first key skips over its deleted entries.
        # It may also contain tasks that are no longer in the dict.
        self._oldest: deque[TaskRecord] = deque()
        self._passed_over: set[str] = set()
        self._sent = SentTasks(most_sent)

    def __len__(self) -> int:
        return len(self._records) + len(self._ended)

    def get(self, task_id: str) -> TaskRecord | None:
        """Returns the task; None if it is not here."""
        record = self._records.get(task_id)
        if record is None:
            record = self._ended.take(task_id)
            if record is not None:
                self._records[task_id] = record
                self._oldest.append(record)
        return record

    def settle(self, record: TaskRecord) -> None:
        """Takes in that the task is written. If it has ended, its texts must be forgotten, and it is kept in
        another form."""
        if self._records.get(record.id) is record and self._ended.keep(record):
            del self._records[record.id]
            self._passed_over.discard(record.id)
            if len(self._oldest) > 2 * len(self._records) + SLACK:
                self._oldest = deque(self._records.values())

    @property
    def sent(self) -> int:
        """The number of tasks of which only queue and name are kept."""
        return len(self._sent)

    def received_by(self, worker: WorkerName, since: int) -> Sequence[TaskRecord]:
        """Returns the tasks that a worker received since that time."""
        for task_id in self._ended.received_by(worker.hostname, worker.pid, since):
            self.get(task_id)
        return [
            record
            for record in self._records.values()
            if record.worker == worker.hostname
            and record.worker_pid == worker.pid
            and record.received >= since
        ]

    def add(self, record: TaskRecord) -> None:
        """Adds a task that `get` did not find."""
        if len(self) >= self._most:
            self._evict()
        self._records[record.id] = record
        self._oldest.append(record)
        if len(self._sent):
            self._sent.restore(record)

    def recall(self, task_id: str, sent: Sent) -> None:
        """Takes in what the database has of a task that has not ended, as far as no event told it since."""
        record = self._records.get(task_id)
        if record is None:
            self._sent.keep(task_id, sent)
        elif record.queue is None:
            _tell(record, sent)

    def _evict(self) -> None:
        if len(self._ended):
            self._ended.drop_oldest()
            return
        for _ in range(MOST_PASSED_OVER):
            record = self._next_oldest()
            if record.state not in RUNNING or record.id in self._passed_over:
                break
            self._passed_over.add(record.id)
            self._oldest.append(record)
        else:
            record = self._next_oldest()
        self._passed_over.discard(record.id)
        del self._records[record.id]
        if record.state is TaskState.PENDING and record.queue is not None:
            self._sent.keep(record.id, Sent(record.queue, record.task or "", record.queue_retries))

    def _next_oldest(self) -> TaskRecord:
        while True:
            record = self._oldest.popleft()
            if self._records.get(record.id) is record:
                return record


class Sent(NamedTuple):
    """`retries`: of the try whose sending told the queue; -1: no event told it."""

    queue: str
    task: str
    retries: int


class SentTasks:
    """Queue and registered name of tasks that are not in the table, about 150 bytes each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[bytes, Sent] = {}
        self._oldest: deque[bytes] = deque()
        # Tasks with the same queue and name share one of them.
        self._shared: dict[Sent, Sent] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, task_id: str, sent: Sent) -> None:
        # `_oldest` also contains tasks that were restored, so its own length is the bound.
        if len(self._oldest) >= self._most:
            self._kept.pop(self._oldest.popleft(), None)
        key = _compact(task_id)
        if len(self._shared) > 10_000:
            self._shared.clear()
        self._kept[key] = self._shared.setdefault(sent, sent)
        self._oldest.append(key)

    def restore(self, record: TaskRecord) -> None:
        """Sets the remembered queue and name on a task of which another event has come."""
        sent = self._kept.pop(_compact(record.id), None)
        if sent is not None:
            _tell(record, sent)


def _tell(record: TaskRecord, sent: Sent) -> None:
    record.queue, record.queue_retries = sent.queue, sent.retries
    record.task = record.task or sent.task or None


def _compact(task_id: str) -> bytes:
    """Returns the id in 16 bytes instead of 36 if it is a UUID, as Celery's ids are."""
    if len(task_id) == 36:
        try:
            return bytes.fromhex(task_id.replace("-", ""))
        except ValueError:
            pass
    return task_id.encode()
