"""The totals of all monitors, as the table has them.

All replicas, and whoever comes after them, show the same numbers, which never run backwards: they are read
from the table before they are shown, and only the one monitor that writes adds to them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.kernel.metrics import Durations
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.store_totals import TotalsStore
from services.monitor.totals.tally import (
    DURATION_BOUNDS,
    EVENTS,
    FAILED,
    LOST,
    MOST_NAMES,
    MOST_QUEUES,
    NAMES,
    OTHER,
    RETRIED,
    RUNTIMES,
    SECONDS,
    SUCCEEDED,
    TASKS,
    Key,
    NamedCounts,
    Tally,
)

log = structlog.get_logger(__name__)

# While the database is away the last totals are shown: it is tried for so long, and so long not again.
PATIENCE_SECONDS, PAUSE_SECONDS = 1.0, 2.0
# Names of each kind, beyond which new ones are counted as "other".
MOST = {TASKS: MOST_QUEUES, RUNTIMES: MOST_QUEUES, NAMES: MOST_NAMES}


class Totals:
    """What was read last. `read` must have succeeded once before anything is shown."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: Tally = {}
        self._labels: dict[str, set[str]] = {figure: set() for figure in MOST}
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
        for (figure, label, part), count in tally.items():
            key = figure, self._label(figure, label), part
            found[key] = found.get(key, 0) + count
        return found

    def _label(self, figure: str, label: str) -> str:
        known = self._labels.get(figure)
        if known is None or label in known:
            return label
        if len(known - {OTHER, ""}) >= MOST[figure] and label:
            return OTHER
        known.add(label)
        return label

    def of(self, key: Key) -> int:
        return int(self._known.get(key, 0))

    @property
    def events_total(self) -> int:
        return self.of(EVENTS)

    @property
    def events_lost(self) -> int:
        return self.of(LOST)

    def tasks(self) -> Iterator[tuple[str, TaskState, int]]:
        """Yields for each queue and state how many tasks came into it."""
        for (figure, queue, state), count in self._known.items():
            if figure == TASKS:
                yield queue, TaskState(state), int(count)

    def durations(self) -> Mapping[str, Durations]:
        """Returns by queue how long tries ran."""
        found: dict[str, Durations] = {}
        for (figure, queue, part), count in self._known.items():
            if figure == RUNTIMES:
                each = found.setdefault(queue, Durations(DURATION_BOUNDS))
                if part == SECONDS:
                    each.total = count
                else:
                    each.counts[int(part)] = int(count)
        return found

    def named(self) -> Mapping[str, NamedCounts]:
        """Returns by registered name how many tasks succeeded, failed, and were retried."""
        names = {name for figure, name, _ in self._known if figure == NAMES}
        return {
            name: NamedCounts(*(self.of((NAMES, name, part)) for part in (SUCCEEDED, FAILED, RETRIED)))
            for name in names
        }

    def _take(self, rows: Sequence[tuple[Key, float, int]]) -> None:
        for key, total, commit in rows:
            self._known[key] = total
            self._commit = max(self._commit, commit)
            if key[0] in self._labels:
                self._labels[key[0]].add(key[1])
