"""Where each event is counted: the cells of its kind, found by name and queue, and made once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.counted import Cell, Series
from services.monitor.totals.kinds import Kind, KnownKinds
from services.monitor.totals.tally import (
    KIND_FAILURES,
    KIND_RUNTIMES,
    KINDS,
    QUEUE_WAITS,
    RUNTIMES,
    TASKS,
    WORKER_WAITS,
)


class KindCells:
    """Where tasks of one kind are counted."""

    __slots__ = ("failures", "kind", "of_queue", "runtimes", "states")

    def __init__(self, kind: Kind, of_queue: QueueSeries) -> None:
        self.kind = kind
        self.of_queue = of_queue
        label = kind.label
        self.states = {
            state: Cell((KINDS, label, state.value), (TASKS, of_queue.queue, state.value))
            for state in TaskState
        }
        self.runtimes = Series(KIND_RUNTIMES, label)
        self.failures: dict[str, Cell] = {}


class QueueSeries:
    """How long tries of a queue's tasks ran, and waited: in the queue, and then in their worker.

    `received`: how many workers have received, since this process was started.
    """

    __slots__ = ("queue", "queue_waits", "received", "runtimes", "worker_waits")

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.received = 0
        self.runtimes = Series(RUNTIMES, queue)
        self.queue_waits, self.worker_waits = Series(QUEUE_WAITS, queue), Series(WORKER_WAITS, queue)


class AllCells:
    """The cells of all kinds. `queue_of` returns the queue under which tasks of a queue are counted."""

    def __init__(self, queue_of: Callable[[str], str]) -> None:
        self._queue_of = queue_of
        self._known = KnownKinds()
        self._queues: dict[str, QueueSeries] = {}
        self._kinds: dict[Kind, KindCells] = {}
        # Those of known kinds, by queue and name as records have them.
        self.found: dict[tuple[str | None, str | None], KindCells] = {}

    def of(self, name: str | None, queue: str | None) -> KindCells:
        return self.found.get((queue, name)) or self._placed(name, queue)

    def received(self) -> Mapping[str, int]:
        """Returns by queue how many tasks workers have received."""
        return {queue: series.received for queue, series in self._queues.items()}

    def failure(self, cells: KindCells, exception: str) -> Cell:
        """Returns where a task of the kind that failed with this type of exception is counted."""
        cell = cells.failures.get(exception)
        if cell is None:
            part = self._known.exception(cells.kind, exception)
            cell = cells.failures.get(part) or Cell((KIND_FAILURES, cells.kind.label, part))
            cells.failures[part] = cell
        return cell

    def _placed(self, name: str | None, queue: str | None) -> KindCells:
        of_queue = self._queue_of(queue or "")
        kind = self._known.place(Kind(name or "", of_queue))
        cells = self._kinds.get(kind)
        if cells is None:
            series = self._queues.setdefault(of_queue, QueueSeries(of_queue))
            cells = self._kinds[kind] = KindCells(kind, series)
        if kind == (name or "", queue or ""):
            self.found[queue, name] = cells
        return cells
