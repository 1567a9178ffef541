"""Figures of tasks and events: counters, rates and runtimes, in bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ddsketch.ddsketch import LogCollapsingLowestDenseDDSketch

from services.monitor.tasks.tasks import TaskState
from services.monitor.totals import tally
from services.monitor.totals.cells import AllCells, KindCells
from services.monitor.totals.counted import Counted
from services.monitor.totals.tally import MOST_NAMES, MOST_QUEUES, OTHER, NamedCounts, Tally

RATE_SECONDS = 10
# The states that are counted by name too.
NAMED = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.RETRY})
# DDSketch (Masson, Rim, Lee, VLDB 2019): quantiles within 1 % of the value, in at most `BINS` bins.
ACCURACY, BINS = 0.01, 1024


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


class Counts(Protocol):
    """What is counted for ever: by this process, or in the totals of all."""

    @property
    def events_total(self) -> int: ...

    @property
    def events_lost(self) -> int: ...

    def named(self) -> Mapping[str, NamedCounts]: ...


class Figures:
    """What this process has counted since its start, and the rates of the last seconds.

    The intake writes the figures; the API and the metrics read them. All of it is on one event loop.

    `counted`: what is counted in `cells`, which is by name and queue, and how long tries ran and waited;
    since `take_changes` was called before.
    """

    def __init__(self) -> None:
        self.cells = AllCells(self._queue)
        self.counted = Counted()
        self.events_total = 0
        # Events known to be lost, from a comparison with the workers' own counts: some may only be late.
        self.events_lost = 0
        # Those that were still missing at a second look.
        self.events_found_lost = 0
        # Messages or events that could not be read.
        self.events_refused = 0
        # How often the stream of events from the broker was cut, or the relay did not run. Each is a gap in
        # the events.
        self.stream_cuts = 0
        # Messages that the relay had heard, and that were gone from its stream before they could be read.
        self.messages_missing = 0
        # Gaps that were recorded, and tasks that were put right after one, by what told of them.
        self.gaps_recorded = 0
        self.repaired: dict[str, int] = {}
        # Whether the subscription to events is established now.
        self.listening = False
        # Tasks with changes that were never written: too many waited, or the database refused the row.
        self.tasks_dropped = 0
        self.tasks_waiting = 0
        self.rows_written = 0
        # Seconds from the creation of the newest event until it was taken in.
        self.event_lag: float | None = None
        self.by_task: dict[str, TaskFigures] = {}
        self._queues: set[str] = set()
        self._events, self._succeeded, self._failed = Rate(), Rate(), Rate()
        self._succeeded_just_now = self._failed_just_now = 0
        # What `take_changes` has returned of each count, and what has changed since.
        self._taken: Tally = {}
        self._changed_names: set[str] = set()

    def events(self, count: int, now: float) -> None:
        """Counts events that were taken in. `now`: seconds of a monotonic clock."""
        self.events_total += count
        self._events.add(count, now)
        self._succeeded.add(self._succeeded_just_now, now)
        self._failed.add(self._failed_just_now, now)
        self._succeeded_just_now = self._failed_just_now = 0

    def task(
        self, task: str, queue: str, state: TaskState, seconds: float | None, exception: str = ""
    ) -> None:
        """Counts a task that entered a state. `seconds`: the runtime of its try, None unless the try ended.
        `exception`: its type, of one that failed.

        Call it before `events`, which adds these counts to the rates.
        """
        cells, counted = self.cells.of(task, queue), self.counted
        counted.cells.append(cells.states[state])
        if state in NAMED:
            self.ended(task, cells, state, seconds, exception)
        elif state is TaskState.RECEIVED:
            cells.of_queue.received += 1

    def ended(
        self, task: str, cells: KindCells, state: TaskState, seconds: float | None, exception: str
    ) -> None:
        """The same for a try that ended, whose state is counted in its cell already."""
        counted = self.counted
        self._named(task, state, seconds)
        if seconds is not None:
            counted.durations[cells.of_queue.runtimes].append(seconds)
            if state is TaskState.SUCCESS:
                counted.durations[cells.runtimes].append(seconds)
        if state is TaskState.FAILURE:
            counted.cells.append(self.cells.failure(cells, exception))

    def _named(self, task: str, state: TaskState, seconds: float | None) -> None:
        figures = self.by_task.get(task)
        if figures is None:
            task = task if len(self.by_task) < MOST_NAMES else OTHER
            figures = self.by_task.setdefault(task, TaskFigures())
        self._changed_names.add(task)
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

    def snapshot(self, now: float, most_tasks: int = 100, counts: Counts | None = None) -> Snapshot:
        """Returns the current figures, with up to `most_tasks` task names, the most frequent first.

        `counts`: whose totals they have; those of this process by default.
        """
        counts = counts or self
        return Snapshot(
            self.events_per_second(now),
            self._succeeded.per_second(now),
            self._failed.per_second(now),
            counts.events_total,
            counts.events_lost,
            self.event_lag,
            self._most_frequent(most_tasks, counts.named()),
        )

    def _most_frequent(self, most: int, named: Mapping[str, NamedCounts]) -> Sequence[NamedFigures]:
        """Runtimes are of what this process has heard."""
        chosen = heapq.nlargest(most, named.items(), key=lambda entry: sum(entry[1]))
        return [self._named_figures(name, counts) for name, counts in chosen]

    def _named_figures(self, name: str, counts: NamedCounts) -> NamedFigures:
        heard = self.by_task.get(name)
        p50, p99 = (heard.runtime(0.5), heard.runtime(0.99)) if heard else (None, None)
        return NamedFigures(name, *counts, p50, p99)

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
        return queue

    def named(self) -> Mapping[str, NamedCounts]:
        return {
            name: NamedCounts(each.succeeded, each.failed, each.retried)
            for name, each in self.by_task.items()
        }

    def take_changes(self) -> Counted:
        """Returns what was counted since this was called before."""
        now: Tally = {
            tally.EVENTS: self.events_total,
            tally.REFUSED: self.events_refused,
            tally.CUTS: self.stream_cuts,
            tally.MISSING: self.messages_missing,
            tally.LOST: self.events_found_lost,
            tally.GAPS: self.gaps_recorded,
        }
        for source, count in self.repaired.items():
            now[tally.REPAIRED, source, ""] = count
        for name in self._changed_names:
            figures = self.by_task[name]
            now[tally.NAMES, name, tally.SUCCEEDED] = figures.succeeded
            now[tally.NAMES, name, tally.FAILED] = figures.failed
            now[tally.NAMES, name, tally.RETRIED] = figures.retried
        self._changed_names.clear()
        taken = self._taken
        changes = {key: count - taken.get(key, 0) for key, count in now.items() if count != taken.get(key, 0)}
        taken.update({key: now[key] for key in changes})
        counted, self.counted = self.counted, Counted()
        counted.tally = changes
        return counted
