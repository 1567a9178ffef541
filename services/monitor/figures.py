"""Figures of tasks and events: counters, rates and runtimes, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from ddsketch.ddsketch import LogCollapsingLowestDenseDDSketch

from services.kernel.metrics import Durations
from services.monitor.tasks.tasks import TaskState

RATE_SECONDS = 10
# Names beyond this number are counted together as "other", so that the number of names can't fill the memory.
MOST_NAMES = 1_000
MOST_QUEUES = 200
OTHER = "other"
# The states that are counted by name too.
NAMED = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.RETRY})
# DDSketch (Masson, Rim, Lee, VLDB 2019): quantiles within 1 % of the value, in at most `BINS` bins.
ACCURACY, BINS = 0.01, 1024
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800)


@dataclass(slots=True)
class TaskFigures:
    """Counts of the tasks of one registered name. `runtimes`: in seconds, of those that succeeded."""

    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    runtimes: LogCollapsingLowestDenseDDSketch = field(
        default_factory=lambda: LogCollapsingLowestDenseDDSketch(ACCURACY, BINS)
    )

    def runtime(self, quantile: float) -> float | None:
        found: float | None = self.runtimes.get_quantile_value(quantile)
        return found


class Rate:
    """An average rate per second over the last ten whole seconds."""

    def __init__(self) -> None:
        self._second = 0
        self._counts = [0] * (RATE_SECONDS + 1)

    def add(self, count: int, now: float) -> None:
        self._turn(int(now))
        self._counts[self._second % len(self._counts)] += count

    def per_second(self, now: float) -> float:
        self._turn(int(now))
        return (sum(self._counts) - self._counts[self._second % len(self._counts)]) / RATE_SECONDS

    def _turn(self, second: int) -> None:
        for passed in range(max(self._second + 1, second - RATE_SECONDS), second + 1):
            self._counts[passed % len(self._counts)] = 0
        self._second = max(self._second, second)


@dataclass(frozen=True, slots=True)
class NamedFigures:
    """Figures of one registered name at one moment. Runtimes: in seconds, None before the first success."""

    task: str
    succeeded: int
    failed: int
    retried: int
    p50_runtime: float | None
    p99_runtime: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures of one moment. Rates are averages over the last 10 s.

    `event_lag` is in seconds, None before the first event.
    """

    events_per_second: float
    succeeded_per_second: float
    failed_per_second: float
    events_total: int
    events_lost: int
    event_lag: float | None
    tasks: Sequence[NamedFigures]


class Figures:
    """The intake writes the figures; the API and the metrics read them. All of it is on one event loop.

    `by_queue` counts tasks by (queue, state they entered). `durations` holds the runtimes of tries by queue,
    including tries that failed.
    """

    def __init__(self) -> None:
        self.events_total = 0
        # Events known to be lost, from a comparison with the workers' own counts.
        self.events_lost = 0
        # Messages or events that could not be read.
        self.events_refused = 0
        # How often the stream of events from the broker was cut, or the relay did not run. Each is a gap in
        # the events.
        self.stream_cuts = 0
        # Messages that the relay had heard, and that were gone from its stream before they could be read.
        self.messages_missing = 0
        # Whether the subscription to events is established now.
        self.listening = False
        # Tasks with changes that were never written: too many waited, or the database refused the row.
        self.tasks_dropped = 0
        self.tasks_waiting = 0
        self.rows_written = 0
        # Seconds from the creation of the newest event until it was taken in.
        self.event_lag: float | None = None
        self.by_queue: dict[tuple[str, TaskState], int] = {}
        self.durations: dict[str, Durations] = {}
        self.by_task: dict[str, TaskFigures] = {}
        self._queues: set[str] = set()
        self._events, self._succeeded, self._failed = Rate(), Rate(), Rate()
        self._succeeded_just_now = self._failed_just_now = 0

    def events(self, count: int, now: float) -> None:
        """Counts events that were taken in. `now`: seconds of a monotonic clock."""
        self.events_total += count
        self._events.add(count, now)
        self._succeeded.add(self._succeeded_just_now, now)
        self._failed.add(self._failed_just_now, now)
        self._succeeded_just_now = self._failed_just_now = 0

    def task(self, task: str, queue: str, state: TaskState, seconds: float | None) -> None:
        """Counts a task that entered a state. `seconds`: the runtime of its try, None unless the try ended.

        Call it before `events`, which adds these counts to the rates.
        """
        if queue not in self._queues:
            queue = self._queue(queue)
        key = (queue, state)
        self.by_queue[key] = self.by_queue.get(key, 0) + 1
        if state in NAMED:
            self._named(task, state, seconds)
        if seconds is not None:
            self.durations[queue].add(seconds)

    def passed(self, queue: str, state: TaskState, count: int) -> None:
        """Counts tasks that entered a state which is not counted by name (`NAMED`)."""
        if queue not in self._queues:
            queue = self._queue(queue)
        key = (queue, state)
        self.by_queue[key] = self.by_queue.get(key, 0) + count

    def _named(self, task: str, state: TaskState, seconds: float | None) -> None:
        figures = self.by_task.get(task) or self._figures_of(task)
        if state is TaskState.SUCCESS:
            self._succeeded_just_now += 1
            figures.succeeded += 1
            if seconds is not None:
                figures.runtimes.add(seconds)
        elif state is TaskState.FAILURE:
            self._failed_just_now += 1
            figures.failed += 1
        else:
            figures.retried += 1

    def events_per_second(self, now: float) -> float:
        """Returns the average rate over the last 10 s."""
        return self._events.per_second(now)

    def snapshot(self, now: float, most_tasks: int = 100) -> Snapshot:
        """Returns the current figures, with up to `most_tasks` task names, the most frequent first."""
        return Snapshot(
            self.events_per_second(now),
            self._succeeded.per_second(now),
            self._failed.per_second(now),
            self.events_total,
            self.events_lost,
            self.event_lag,
            self._most_frequent(most_tasks),
        )

    def _most_frequent(self, most: int) -> Sequence[NamedFigures]:
        def ended(entry: tuple[str, TaskFigures]) -> int:
            return entry[1].succeeded + entry[1].failed + entry[1].retried

        chosen = heapq.nlargest(most, self.by_task.items(), key=ended)
        return [
            NamedFigures(
                name, each.succeeded, each.failed, each.retried, each.runtime(0.5), each.runtime(0.99)
            )
            for name, each in chosen
        ]

    @property
    def queues(self) -> set[str]:
        """The queues named in events, at most `MOST_QUEUES`."""
        return self._queues - {"", OTHER}

    def _queue(self, queue: str) -> str:
        if queue in self._queues:
            return queue
        if len(self._queues) >= MOST_QUEUES:
            queue = OTHER
        self._queues.add(queue)
        self.durations.setdefault(queue, Durations(DURATION_BOUNDS))
        return queue

    def _figures_of(self, task: str) -> TaskFigures:
        if len(self.by_task) >= MOST_NAMES:
            task = OTHER
        return self.by_task.setdefault(task, TaskFigures())
