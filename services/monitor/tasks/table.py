"""The recent tasks in memory, up to a limit.

When the table is full, it evicts the oldest task. If that task was sent but not yet received, its queue and
name are kept in a compact map: only the task-sent event names the queue, and the backlog of a burst may be
far larger than the table, while its tasks must still be counted under their own queues. A task that a worker
has received and not ended is passed over once.
"""

from __future__ import annotations

from collections import deque

from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState

MOST_PASSED_OVER = 8
RUNNING = frozenset({TaskState.RECEIVED, TaskState.STARTED, TaskState.RETRY})


class TaskTable:
    """Up to `most` tasks, and the queues of up to `most_sent` others."""

    def __init__(self, most: int, most_sent: int) -> None:
        self._most = most
        self._records: dict[str, TaskRecord] = {}
        self.get = self._records.get
        # The order is kept beside the dict, since finding a dict's first key skips over its deleted entries.
        self._oldest: deque[TaskRecord] = deque()
        self._passed_over: set[str] = set()
        self._sent = SentTasks(most_sent)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def sent(self) -> int:
        """The number of tasks of which only queue and name are kept."""
        return len(self._sent)

    def add(self, record: TaskRecord) -> None:
        """Adds a task that `get` did not find."""
        if len(self._records) >= self._most:
            self._evict()
        self._records[record.id] = record
        self._oldest.append(record)
        if len(self._sent):
            self._sent.restore(record)

    def _evict(self) -> None:
        for _ in range(MOST_PASSED_OVER):
            record = self._oldest.popleft()
            if record.state not in RUNNING or record.id in self._passed_over:
                break
            self._passed_over.add(record.id)
            self._oldest.append(record)
        else:
            record = self._oldest.popleft()
        self._passed_over.discard(record.id)
        del self._records[record.id]
        if record.state is TaskState.PENDING:
            self._sent.remember(record)


class SentTasks:
    """Queue and registered name of tasks that were sent but not yet received, about 150 bytes each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[bytes, tuple[str, str]] = {}
        self._oldest: deque[bytes] = deque()
        # Tasks with the same queue and name share one pair.
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def remember(self, record: TaskRecord) -> None:
        if record.queue is None:
            return
        # `_oldest` also contains tasks that were restored, so its own length is the bound.
        if len(self._oldest) >= self._most:
            self._kept.pop(self._oldest.popleft(), None)
        key, pair = _compact(record.id), (record.queue, record.task or "")
        if len(self._pairs) > 10_000:
            self._pairs.clear()
        self._kept[key] = self._pairs.setdefault(pair, pair)
        self._oldest.append(key)

    def restore(self, record: TaskRecord) -> None:
        """Sets the remembered queue and name on a task of which another event has come."""
        pair = self._kept.pop(_compact(record.id), None)
        if pair is not None:
            record.queue, record.task = pair[0], pair[1] or None


def _compact(task_id: str) -> bytes:
    """Returns the id in 16 bytes instead of 36 if it is a UUID, as Celery's ids are."""
    if len(task_id) == 36:
        try:
            return bytes.fromhex(task_id.replace("-", ""))
        except ValueError:
            pass
    return task_id.encode()
