"""Collects changes of tasks over an interval: of each task the newest alone is told, all of them together.

Who only shows the present state of tasks needs no more, and neither has to draw each of 40,000 changes a
second nor falls behind. All readers who want the same share one collection: its message is built once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from services.monitor.tasks.tasks import Task

# At most so many tasks are told in one message: 4 MB is the most that a gRPC client takes unless it was told
# otherwise, and a task with long arguments and a long exception takes up to 40 kB.
MOST_TOGETHER = 100

Reader = TypeVar("Reader")


class Collection(Generic[Reader]):
    """The newest change of each task since the last were told; `tell` is called when it is time.

    What comes after a quiet interval is told at once, together with what came in the same moment.
    """

    def __init__(self, interval: float, most: int, tell: Callable[[Collection[Reader]], None]) -> None:
        """`interval`: the least time between two tellings, in seconds; `most` tasks end it earlier."""
        self.readers: set[Reader] = set()
        self.tasks: dict[str, Task] = {}
        # The position of the first change that waits to be told.
        self.first_position = 0
        self._interval = interval
        self._most = most
        self._tell = tell
        self._told_at = float("-inf")
        self._due: asyncio.TimerHandle | None = None

    def add(self, task: Task, position: int) -> None:
        if not self.tasks:
            self.first_position = position
            loop = asyncio.get_running_loop()
            self._due = loop.call_at(max(loop.time(), self._told_at + self._interval), self._tell_now)
        # The older change of the task, which this one replaces, need not be told any more.
        self.tasks.pop(task.id, None)
        self.tasks[task.id] = task
        if len(self.tasks) >= self._most:
            self._tell_now()

    def taken(self) -> tuple[int, Sequence[Task]]:
        """Returns what waited, in the order of the changes, with the position of the first one."""
        tasks, self.tasks = tuple(self.tasks.values()), {}
        return self.first_position, tasks

    def end(self) -> None:
        """Nobody reads any more."""
        if self._due is not None:
            self._due.cancel()

    def _tell_now(self) -> None:
        self.end()
        self._told_at = asyncio.get_running_loop().time()
        self._tell(self)
