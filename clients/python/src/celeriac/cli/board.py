"""What `celeriac watch` shows, kept as events come: the newest tasks, the workers, the figures of now."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from celeriac.gap import Gap

# Tasks that are kept; of older ones the count is told.
MOST_TASKS = 1000


class Board:
    """Filled by the thread that watches, read by the screen. Messages are kept as they come: at hundreds of
    changes a second, only the few that are shown are converted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, Any] = OrderedDict()
        self._workers: dict[str, Any] = {}
        self._queues: list[Any] = []
        self.metrics: Any = None
        self.changes = 0
        self.missing = 0
        self.error = ""

    def take(self, event: Any) -> None:
        """Takes an event of `monitoring.watch()`."""
        with self._lock:
            if isinstance(event, Gap):
                self.missing += event.count or 1
                return
            kind, raw = type(event).__name__, event.raw
            if kind == "Metrics":
                self.metrics = raw
            elif kind == "Worker":
                self._workers[raw.name] = raw
            else:
                for task in [raw] if kind == "Task" else raw.tasks:
                    self._put(task)

    def _put(self, task: Any) -> None:
        self._tasks[task.name] = task
        self._tasks.move_to_end(task.name)
        self.changes += 1
        if len(self._tasks) > MOST_TASKS:
            self._tasks.popitem(last=False)

    def know_workers(self, workers: list[Any]) -> None:
        """Takes the workers that were there before the watch began. What came since is newer."""
        with self._lock:
            self._workers = {worker.raw.name: worker.raw for worker in workers} | self._workers

    def tasks(self, most: int, chosen: Callable[[Any], bool]) -> list[Any]:
        """Returns the tasks that changed last, the newest first."""
        found: list[Any] = []
        with self._lock:
            for task in reversed(self._tasks.values()):
                if chosen(task):
                    found.append(task)
                    if len(found) == most:
                        break
        return found

    def know_tasks(self, tasks: list[Any]) -> None:
        """Takes the newest tasks of before the watch, the newest first."""
        with self._lock:
            for task in reversed(tasks):
                if task.raw.name not in self._tasks:
                    self._tasks[task.raw.name] = task.raw

    def know_queues(self, queues: list[Any]) -> None:
        self._queues = [queue.raw for queue in queues]

    def queues(self) -> list[Any]:
        """Returns the queues, the longest first."""
        return sorted(self._queues, key=lambda queue: -queue.length)

    def workers(self) -> list[Any]:
        with self._lock:
            return sorted(self._workers.values(), key=lambda worker: str(worker.name))
