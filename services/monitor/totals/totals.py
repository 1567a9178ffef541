"""The totals of all monitors, as the table has them.

All replicas, and whoever comes after them, show the same numbers, which never run backwards: they are read
from the table before they are shown, and only the one monitor that writes adds to them.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.metrics import Durations
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.kinds import KnownKinds
from services.monitor.totals.store_totals import TotalsStore
from services.monitor.totals.tally import (
    DURATION_BOUNDS,
    EVENTS,
    FAILED,
    KIND_RUNTIMES,
    KINDS,
    LOST,
    MOST_NAMES,
    MOST_QUEUES,
    NAMES,
    OF_KINDS,
    OTHER,
    QUEUE_WAITS,
    RETRIED,
    RUNTIMES,
    SECONDS,
    SUCCEEDED,
    TASKS,
    WORKER_WAITS,
    Key,
    NamedCounts,
    Tally,
)

log = structlog.get_logger(__name__)

# While the database is away the last totals are shown: it is tried for so long, and so long not again.
PATIENCE_SECONDS, PAUSE_SECONDS = 1.0, 2.0
# Names of each kind, beyond which new ones are counted as "other".
MOST = {
    TASKS: MOST_QUEUES,
    RUNTIMES: MOST_QUEUES,
    QUEUE_WAITS: MOST_QUEUES,
    WORKER_WAITS: MOST_QUEUES,
    NAMES: MOST_NAMES,
}
# States that are shown as 0 as soon as a queue, or a kind, is known: Prometheus sees the growth of a counter
# only if it has seen it before.
ENDS = (TaskState.SUCCESS.value, TaskState.FAILURE.value)
AT_ONCE = {TASKS: (*ENDS, TaskState.ORPHANED.value, TaskState.LOST.value), KINDS: ENDS}
# The figures whose parts are buckets.
HISTOGRAMS = (RUNTIMES, QUEUE_WAITS, WORKER_WAITS, KIND_RUNTIMES)


class Totals:
    """What was read last. `read` must have succeeded once before anything is shown."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # By figure: totals by label and part; and of those that are histograms, the same as such by label.
        self._known: defaultdict[str, dict[tuple[str, str], float]] = defaultdict(dict)
        self._histograms: dict[str, dict[str, Durations]] = {figure: {} for figure in HISTOGRAMS}
        self._labels: dict[str, set[str]] = {figure: set() for figure in MOST}
        self._kinds = KnownKinds()
        self._commit = -1
        # When they were last read, by time.monotonic().
        self.read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._not_before = 0.0

    async def read(self) -> None:
        """Reads what has changed since. Raises the database's errors."""
        async with self._reading, self._database.connection() as connection:
            asked_at = time.monotonic()
            self._take(await TotalsStore(connection).since(self._commit))
            self.read_at = asked_at

    async def refresh(self) -> None:
        """Reads what has changed since; while the database is away, all stays as it was."""
        if time.monotonic() < self._not_before:
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.read()
        except DATABASE_ERRORS as error:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            log.warning("totals.not_read", error=for_log(error))

    def bounded(self, tally: Tally) -> Tally:
        """Returns the tally with names that are too many counted as `other`."""
        found: Tally = {}
        for key, count in tally.items():
            bounded = self._bounded(key)
            found[bounded] = found.get(bounded, 0) + count
        return found

    def _bounded(self, key: Key) -> Key:
        figure, label, part = key
        if (label, part) in self._known[figure]:
            return key
        if figure in OF_KINDS:
            return self._kinds.bounded(key)
        return figure, self._label(figure, label), part

    def _label(self, figure: str, label: str) -> str:
        known = self._labels.get(figure)
        if known is None or label in known:
            return label
        if len(known - {OTHER, ""}) >= MOST[figure] and label:
            return OTHER
        known.add(label)
        return label

    def of(self, key: Key) -> int:
        figure, label, part = key
        return int(self._known[figure].get((label, part), 0))

    @property
    def events_total(self) -> int:
        return self.of(EVENTS)

    @property
    def events_lost(self) -> int:
        return self.of(LOST)

    def tasks(self) -> Iterator[tuple[str, TaskState, int]]:
        """Yields for each queue and state how many tasks came into it."""
        for (queue, state), count in self._known[TASKS].items():
            if count:
                yield queue, TaskState(state), int(count)

    def durations(self) -> Mapping[str, Durations]:
        """Returns by queue how long tries ran."""
        return self._histograms[RUNTIMES]

    def all(self, figure: str) -> Mapping[tuple[str, str], float]:
        """Returns all totals of a figure, by label and part. Not to be changed, nor to be kept."""
        return self._known[figure]

    def histograms(self, figure: str) -> Mapping[str, Durations]:
        """Returns one of HISTOGRAMS by label. Not to be changed, nor to be kept."""
        return self._histograms[figure]

    def named(self) -> Mapping[str, NamedCounts]:
        """Returns by registered name how many tasks succeeded, failed, and were retried."""
        counts = self._known[NAMES]
        return {
            name: NamedCounts(*(int(counts.get((name, part), 0)) for part in (SUCCEEDED, FAILED, RETRIED)))
            for name in {name for name, _ in counts}
        }

    def _take(self, rows: Sequence[tuple[Key, float, int]]) -> None:
        for (figure, label, part), total, commit in rows:
            for shown in AT_ONCE.get(figure, ()):
                self._known[figure].setdefault((label, shown), 0)
            self._known[figure][label, part] = total if part == SECONDS else int(total)
            self._commit = max(self._commit, commit)
            if figure in self._labels:
                self._labels[figure].add(label)
            elif figure in OF_KINDS:
                self._kinds.take((figure, label, part))
            if figure in self._histograms:
                self._take_duration(figure, label, part, total)

    def _take_duration(self, figure: str, label: str, part: str, total: float) -> None:
        durations = self._histograms[figure].setdefault(label, Durations(DURATION_BOUNDS))
        if part == SECONDS:
            durations.total = total
        else:
            durations.counts[int(part)] = int(total)
