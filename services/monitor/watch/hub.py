"""Delivers changes to all readers of Watch, each at its own pace.

Each reader has its own buffer for task changes (services.kernel.readers). Changes of workers are kept by
name, only the newest of each worker, and are never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.kernel import readers
from services.kernel.readers import Skipped
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.workers.workers import Worker

Message = TypeVar("Message")


@dataclass(frozen=True)
class Wanted:
    """Which task changes a reader wants. Empty texts and None match any task."""

    tasks: bool = True
    task: str = ""
    queue: str = ""
    state: TaskState | None = None
    ended_only: bool = False

    def matches(self, task: Task) -> bool:
        return (
            self.tasks
            and (not self.task or self.task == task.task)
            and (not self.queue or self.queue == task.queue)
            and (self.state is None or self.state is task.state)
            and (not self.ended_only or task.state.ended)
        )


class Reader(readers.Reader[Message]):
    """The changes that wait for one reader."""

    def __init__(self, wanted: Wanted, most: int) -> None:
        super().__init__(most)
        self.wanted = wanted
        self._workers: dict[str, Message] = {}

    def put_worker(self, hostname: str, message: Message) -> None:
        self._workers.pop(hostname, None)
        self._workers[hostname] = message
        self._news.set()

    def _take(self) -> Message | Skipped | None:
        if self._workers:
            return self._workers.pop(next(iter(self._workers)))
        return super()._take()


class Hub(Generic[Message]):
    """All readers of Watch. A change is converted to a message once, and only if a reader takes it."""

    def __init__(
        self,
        task_message: Callable[[Task], Message],
        worker_message: Callable[[Worker], Message],
        buffer: int,
    ) -> None:
        self._task_message = task_message
        self._worker_message = worker_message
        self._buffer = buffer
        self._readers: set[Reader[Message]] = set()
        # Task changes left out since the start, over all readers.
        self.skipped_total = 0

    @property
    def readers(self) -> int:
        """The number of readers now."""
        return len(self._readers)

    @property
    def watched(self) -> bool:
        """Whether any reader wants task changes now."""
        return any(reader.wanted.tasks for reader in self._readers)

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[Reader[Message]]:
        reader = Reader[Message](wanted, self._buffer)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def tasks_changed(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            message: Message | None = None
            for reader in self._readers:
                if not reader.wanted.matches(task):
                    continue
                if not reader.has_room:
                    reader.skip()
                    self.skipped_total += 1
                    continue
                message = message or self._task_message(task)
                reader.put(message)

    def worker_changed(self, worker: Worker) -> None:
        if self._readers:
            message = self._worker_message(worker)
            for reader in self._readers:
                reader.put_worker(worker.hostname, message)
