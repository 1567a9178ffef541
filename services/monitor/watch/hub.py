"""Delivers changes to all readers of WatchEvents, each at its own pace.

Each reader has its own buffer for task changes (services.kernel.readers). Of each worker and each alert only
the newest change is kept; they are delivered first, and never left out. Alerts that fire are told to each new
reader.

A reader may have the changes of tasks collected over an interval (services.monitor.watch.collecting): it gets
them together, and of each task the newest alone.

All changes are counted, so that each has a position. A reader is at the position up to which it was sent
everything that it wants.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from services.kernel import readers
from services.kernel.readers import Skipped
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import Task, TaskState
from services.monitor.watch.collecting import MOST_TOGETHER, Collection
from services.monitor.watch.cursor import Cursor, expired
from services.monitor.workers.worker import Worker

Message = TypeVar("Message")


@dataclass(frozen=True)
class Wanted:
    """Which task changes a reader wants. Empty sets match any task.

    A worker without a process id stands for every process under its hostname.
    """

    tasks: bool = True
    states: frozenset[TaskState] = frozenset()
    task_names: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    workers: frozenset[WorkerName] = frozenset()
    ended_only: bool = False

    def matches(self, task: Task | TaskRecord) -> bool:
        return (
            self.tasks
            and (not self.states or task.state in self.states)
            and (not self.task_names or task.task in self.task_names)
            and (not self.queues or task.queue in self.queues)
            and (not self.ended_only or task.state.ended)
            and (not self.workers or self._has_worker_of(task))
        )

    def _has_worker_of(self, task: Task | TaskRecord) -> bool:
        return (task.worker, task.worker_pid) in self.workers or (task.worker, None) in self.workers


class Change(NamedTuple, Generic[Message]):
    """A change and its position; that of the first one, where the message tells several."""

    position: int
    message: Message


class Reader(readers.Reader[Change[Message]]):
    """The changes that wait for one reader. `position` is where the reader is, after what it has taken."""

    def __init__(
        self,
        wanted: Wanted,
        most: int,
        counted: Callable[[], int],
        collection: Collection[Reader[Message]] | None = None,
    ) -> None:
        super().__init__(most)
        self.wanted = wanted
        self.collection = collection
        self._counted = counted
        # Of workers and alerts, by what they are.
        self._newest: dict[Hashable, Change[Message]] = {}
        self._first_left_out = 0

    @property
    def position(self) -> int:
        waiting = [change.position for change in self._newest.values()]
        if self._messages:
            waiting.append(self._messages[0][0].position)
        elif self._skipped:
            waiting.append(self._first_left_out)
        elif self.collection is not None and self.collection.tasks:
            waiting.append(self.collection.first_position)
        return min(waiting) - 1 if waiting else self._counted()

    def leave_out(self, position: int, changes: int = 1) -> None:
        if not self._skipped:
            self._first_left_out = position
        self.skip(changes)

    def put_newest(self, what: Hashable, change: Change[Message]) -> None:
        # The older change, which this one replaces, need not be sent any more.
        self._newest.pop(what, None)
        self._newest[what] = change
        self._news.set()

    def _take(self) -> Change[Message] | Skipped | None:
        if self._newest:
            return self._newest.pop(next(iter(self._newest)))
        return super()._take()


class Hub(Generic[Message]):
    """All readers of WatchEvents. A change is converted to a message once, and only if a reader takes it."""

    def __init__(
        self,
        task_message: Callable[[Task, Cursor], Message],
        tasks_message: Callable[[Sequence[Task], Cursor], Message],
        worker_message: Callable[[Worker], Message],
        buffer: int,
    ) -> None:
        self._task_message = task_message
        self._tasks_message = tasks_message
        self._worker_message = worker_message
        self._buffer = buffer
        # Those that get each change as it comes, and those that get what a collection holds.
        self._readers: set[Reader[Message]] = set()
        self._collections: dict[tuple[Wanted, float], Collection[Reader[Message]]] = {}
        # What any of them wants of tasks, each once: it is asked for each event.
        self._wanted: tuple[Wanted, ...] = ()
        self._wanted_states: frozenset[TaskState] = frozenset()
        self._origin = secrets.token_hex(8)
        # The number of changes since the start, which is the position of the newest one.
        self._counted = 0
        # The messages of alerts that fire.
        self._alerts: dict[int, Message] = {}
        # Task changes left out since the start, over all readers.
        self.left_out_total = 0

    @property
    def readers(self) -> int:
        """The number of readers now."""
        return len(self._readers) + sum(len(each.readers) for each in self._collections.values())

    def wants(self, record: TaskRecord) -> bool:
        """Whether any reader wants the change that the task has just been through."""
        if record.state not in self._wanted_states:
            return False
        for wanted in self._wanted:  # noqa: SIM110 - a generator takes longer
            if wanted.matches(record):
                return True
        return False

    @contextmanager
    def reading(
        self, wanted: Wanted, after: Cursor | None = None, interval: float = 0
    ) -> Iterator[Reader[Message]]:
        """Changes of tasks come together, at most once in so many seconds; each as it comes, if that is 0.

        Raises `FailedPrecondition` if anything has come after the cursor.
        """
        if after is not None and after != Cursor(self._origin, self._counted):
            raise expired()
        collection = self._collection(wanted, interval) if interval and wanted.tasks else None
        reader = Reader[Message](wanted, self._buffer, lambda: self._counted, collection)
        fellows = self._readers if collection is None else collection.readers
        fellows.add(reader)
        self._ask_for()
        if after is None:
            for alert, message in self._alerts.items():
                # The reader is where it is, also before it has taken them.
                reader.put_newest(alert, Change(self._counted + 1, message))
        try:
            yield reader
        finally:
            fellows.discard(reader)
            if collection is not None and not collection.readers:
                collection.end()
                del self._collections[wanted, interval]
            self._ask_for()

    def _collection(self, wanted: Wanted, interval: float) -> Collection[Reader[Message]]:
        """Returns the one that all readers share who want the same."""
        if (wanted, interval) not in self._collections:
            self._collections[wanted, interval] = Collection(interval, self._buffer, self._tell_collected)
        return self._collections[wanted, interval]

    def cursor(self, reader: Reader[Message]) -> Cursor:
        """Returns where the reader is."""
        return Cursor(self._origin, reader.position)

    def _ask_for(self) -> None:
        directly = {reader.wanted for reader in self._readers if reader.wanted.tasks}
        self._wanted = tuple(directly | {wanted for wanted, _ in self._collections})
        states = (wanted.states or frozenset(TaskState) for wanted in self._wanted)
        self._wanted_states = frozenset().union(*states)

    def unwatched(self, changes: int) -> None:
        """Counts task changes that no reader wanted."""
        self._counted += changes

    def tasks_changed(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._counted += 1
            for (wanted, _), collection in self._collections.items():
                if wanted.matches(task):
                    collection.add(task, self._counted)
            change: Change[Message] | None = None
            for reader in self._readers:
                if not reader.wanted.matches(task):
                    continue
                if not reader.has_room:
                    reader.leave_out(self._counted)
                    self.left_out_total += 1
                    continue
                change = change or self._change_of(task)
                reader.put(change)

    def _tell_collected(self, collection: Collection[Reader[Message]]) -> None:
        first, tasks = collection.taken()
        for start in range(0, len(tasks), MOST_TOGETHER):
            together = tasks[start : start + MOST_TOGETHER]
            is_last = start + len(together) == len(tasks)
            # Before the last of them has come, a reader is where it was before the first.
            cursor = Cursor(self._origin, self._counted if is_last else first - 1)
            self._tell_together(collection.readers, first, together, cursor)

    def _tell_together(
        self, readers: Iterable[Reader[Message]], first: int, tasks: Sequence[Task], cursor: Cursor
    ) -> None:
        message: Message | None = None
        for reader in readers:
            if not reader.has_room:
                reader.leave_out(first, len(tasks))
                self.left_out_total += len(tasks)
                continue
            if message is None:
                message = self._tasks_message(tasks, cursor)
            reader.put(Change(first, message), len(tasks))

    def worker_changed(self, worker: Worker) -> None:
        self._counted += 1
        if self.readers:
            self._tell_newest(worker.name, self._worker_message(worker))

    def alert_changed(self, alert: int, message: Message, *, fires: bool) -> None:
        """Tells of an alert, by its number; of one that fires to those who come later, too."""
        self._counted += 1
        if fires:
            self._alerts[alert] = message
        else:
            self._alerts.pop(alert, None)
        self._tell_newest(alert, message)

    def _tell_newest(self, what: Hashable, message: Message) -> None:
        change = Change(self._counted, message)
        for reader in chain(self._readers, *(each.readers for each in self._collections.values())):
            reader.put_newest(what, change)

    def _change_of(self, task: Task) -> Change[Message]:
        return Change(self._counted, self._task_message(task, Cursor(self._origin, self._counted)))
